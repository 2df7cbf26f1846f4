"""Parts made by processes of this machine."""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, connection, get_context, parent_process
from threading import Thread

from forestay.core.errors import ForestayError
from forestay.dataset.part import Job, Made, make_file

#: Called with the number of parts that are done.
Done = Callable[[int], None]


def make_locally(jobs: Sequence[Job], workers: int, done: Done) -> list[Made]:
    """Makes all parts, in the order of the jobs; with one worker in this process itself.

    Raises:
        LeakError: a row knows what comes after it.
        ForestayError: a process ended before its work.
    """
    if workers == 1:
        made = []
        for number, job in enumerate(jobs, start=1):
            made.append(make_file(job))
            done(number)
        return made
    strangers = active_children()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin) as pool:
        try:
            futures = _submit(pool, jobs)
            for number, future in enumerate(as_completed(futures), start=1):
                future.result()
                done(number)
        except BrokenProcessPool as error:
            raise ForestayError(
                "a process that made rows was ended, as where memory is short: try fewer --workers or more"
                " --partitions"
            ) from error
        except BaseException:
            # Nobody waits for the rest: neither who pressed Ctrl-C nor who is told of a leak.
            for process in active_children():
                if process not in strangers:
                    process.terminate()
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _submit(pool: ProcessPoolExecutor, jobs: Sequence[Job]) -> list[Future[Made]]:
    """Gives the jobs to the pool, whose processes inherit that Ctrl-C is not for them: it ends the one that asked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return [pool.submit(make_file, job) for job in jobs]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Lets the process not outlive the one that asked."""
    Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
