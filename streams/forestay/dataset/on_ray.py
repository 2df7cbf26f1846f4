"""Parts made by tasks of a Ray cluster: the same function over the same partitions, the same bytes."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from forestay.core.errors import ForestayError
from forestay.dataset.local import Done
from forestay.dataset.part import Job, Made, make_bytes

_ANSWER_SECONDS: Final = 5.0


def make_on_ray(jobs: Sequence[Job], workers: int, done: Done) -> list[Made]:
    """Makes all parts, in the order of the jobs, at most `workers` at once.

    The cluster is the one this process has joined, else that of RAY_ADDRESS, else one of this machine alone, which
    ends with the work. Events and parts travel through Ray's object store: nodes need no common disk, but Forestay of
    this version. At most `workers` partitions are in the store.

    Raises:
        LeakError: a row knows what comes after it.
        ForestayError: there is no Ray, no cluster where one is named, or a task failed.
    """
    ray = _ray()
    made: dict[int, Made] = {}
    with _joined(ray, workers):
        task = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(make_bytes)
        waiting = iter(jobs)
        running: dict[Any, Job] = {}
        while True:
            while len(running) < workers and (job := next(waiting, None)) is not None:
                running[task.remote(job, job.events.read_bytes())] = job
            if not running:
                return [made[job.number] for job in jobs]
            finished, _ = ray.wait(list(running), num_returns=1)
            for reference in finished:
                job = running.pop(reference)
                made[job.number] = _fetch(ray, reference, job)
                done(len(made))


def _fetch(ray: Any, reference: Any, job: Job) -> Made:
    try:
        made, content = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ForestayError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ForestayError(f"Ray did not make partition {job.number}: {error}") from error
    job.part.write_bytes(content)
    return Made(*made)


def _ray() -> Any:
    # Nothing is told to anybody about what runs here.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ForestayError("--engine ray needs Ray: install the extra, pip install 'forestay[ray]'") from error
    return ray


@contextmanager
def _joined(ray: Any, workers: int) -> Iterator[None]:
    """Joins a cluster, or starts one for the length of the work, with as many workers as asked for."""
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_answers(address)
    how = {} if address else {"address": "local", "num_cpus": workers, "include_dashboard": False}
    ray.init(logging_level=logging.ERROR, log_to_driver=False, **how)
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Sees that somebody listens at `host:port`: Ray itself asks for two minutes before it gives up."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ForestayError(f"no Ray cluster answers at RAY_ADDRESS={address}: {error}") from error
