"""Children are started, watched and stopped in order, and none is left behind, whoever is killed."""

import asyncio
import gc
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import uvloop

from forestay.embedded.errors import ProcessFailedError
from forestay.embedded.process import ChildProcess, Command, describe_status

GONE_WITHIN = 15.0  # seconds; it takes a few hundredths
# Tells its own id and that of a grandchild in a session of its own, and what signals reach it.
FAMILY = """
trap 'echo TERM; exit 7' TERM
trap 'echo INT' INT
setsid sleep 1000 & echo "$$ $!"
while true; do sleep 1000 & wait $!; done
"""
# A parent that starts FAMILY and waits for Ctrl-C or worse.
PARENT = """
import asyncio, sys
from pathlib import Path
from forestay.embedded.process import ChildProcess, Command

async def main():
    log = Path(sys.argv[1])
    command = Command("family", ["bash", "-c", sys.argv[2]], log, stop_within=5)
    async with ChildProcess(command) as child:
        async def told():
            return len(log.read_text().split()) == 2
        await child.ready(told, within=10)
        print(child.pid, flush=True)
        await asyncio.Event().wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
"""


class Watch:
    """Awaits the end of processes that are not our children."""

    def __init__(self) -> None:
        self.files: dict[int, int] = {}

    def add(self, *pids: int) -> None:
        self.files |= {pid: os.pidfd_open(pid) for pid in pids}

    def wait_gone(self) -> None:
        left, deadline = dict(self.files), time.monotonic() + GONE_WITHIN
        while left:
            ended, _, _ = select.select(left.values(), [], [], deadline - time.monotonic())
            assert ended, f"still alive: {sorted(left)}"
            left = {pid: file for pid, file in left.items() if file not in ended}

    def close(self) -> None:
        for file in self.files.values():
            os.close(file)


@pytest.fixture
def watch() -> Iterator[Watch]:
    watching = Watch()
    yield watching
    watching.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "child.log"


def bash(script: str, log: Path, *, stop_within: float = 5.0) -> Command:
    return Command("child", ["bash", "-c", script], log, stop_within=stop_within)


async def log_lines(child: ChildProcess, count: int) -> list[str]:
    """Wait for the child to have written so many lines; return them."""

    async def written() -> bool:
        return child.log_tail().count("\n") + 1 >= count and bool(child.log_tail())

    await child.ready(written, within=10)
    return child.log_tail().splitlines()


async def test_stops_with_the_signal_and_tells_the_status(log: Path, watch: Watch) -> None:
    async with ChildProcess(bash(FAMILY, log)) as child:
        pids = [int(word) for word in (await log_lines(child, 1))[0].split()]
        assert pids[0] == child.pid
        assert child.returncode is None
        watch.add(*pids)
    assert child.returncode == 7
    watch.wait_gone()
    assert child.log_tail().splitlines()[1:] == ["TERM"]
    await child.stop()


async def test_a_child_deaf_to_the_signal_is_killed_with_all_its_offspring(log: Path, watch: Watch) -> None:
    deaf = "trap '' TERM; setsid sleep 1000 & echo $$ $!; while true; do sleep 1000; done"
    async with ChildProcess(bash(deaf, log, stop_within=0.1)) as child:
        watch.add(*(int(word) for word in (await log_lines(child, 1))[0].split()))
    assert child.returncode is not None
    assert describe_status(child.returncode) == "137 (SIGKILL)"
    watch.wait_gone()


async def test_a_child_that_ends_early_fails_the_wait_at_once_with_its_last_words(log: Path) -> None:
    started = time.monotonic()
    async with ChildProcess(bash("for i in $(seq 100); do echo line $i; done; exit 3", log)) as child:
        with pytest.raises(ProcessFailedError, match=r"child ended with status 3 before it was ready") as failure:
            await child.ready(never, within=60)
    assert time.monotonic() - started < 30
    assert str(failure.value).endswith("line 99\nline 100")
    assert "line 80" not in str(failure.value)


async def test_a_child_not_ready_in_time_fails_the_wait_and_runs_on(log: Path) -> None:
    async with ChildProcess(bash("echo so far; sleep 1000", log)) as child:
        await log_lines(child, 1)
        with pytest.raises(ProcessFailedError, match=r"was not ready within 0.1 s[^\0]*so far"):
            await child.ready(never, within=0.1)
        assert child.returncode is None
    assert describe_status(child.returncode or 0) == "143 (SIGTERM)"


async def test_an_error_of_the_probe_is_told(log: Path) -> None:
    async def broken() -> bool:
        raise ZeroDivisionError

    async with ChildProcess(bash("sleep 1000", log)) as child:
        with pytest.raises(ZeroDivisionError):
            await child.ready(broken, within=60)


async def test_a_program_that_is_not_there_is_named(log: Path) -> None:
    async with ChildProcess(Command("child", ["/nowhere/at/all"], log)) as child:
        with pytest.raises(ProcessFailedError, match="cannot run /nowhere/at/all: No such file or directory"):
            await child.ready(never, within=60)


async def test_the_end_of_a_child_can_be_awaited(log: Path, watch: Watch) -> None:
    async with ChildProcess(bash("setsid sleep 1000 & echo $!; read -t 0.2 < <(sleep 1000); exit 4", log)) as child:
        watch.add(int((await log_lines(child, 1))[0]))
        assert await child.wait() == 4
        watch.wait_gone()  # before any stop: what an ended child leaves goes with it


async def test_a_child_that_kills_its_own_group_does_not_escape(log: Path, watch: Watch) -> None:
    async with ChildProcess(
        bash("setsid sleep 1000 & echo $!; read -t 0.2 < <(sleep 1); kill -KILL 0", log)
    ) as child:
        watch.add(int((await log_lines(child, 1))[0]))
        assert describe_status(await child.wait()) == "137 (SIGKILL)"
        watch.wait_gone()


async def test_cancelling_the_stop_stops_it_all_the_same(log: Path, watch: Watch) -> None:
    child = ChildProcess(bash(FAMILY, log))
    await child.start()
    watch.add(*(int(word) for word in (await log_lines(child, 1))[0].split()))
    stopping = asyncio.create_task(child.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert await child.wait() == 7
    watch.wait_gone()


def test_a_loop_that_closes_right_after_the_stop_leaves_no_pipe_open(log: Path) -> None:
    """The end of a process may be known before that of its pipe; here the test holds the pipe open a while longer."""

    async def run() -> None:
        child = ChildProcess(bash("sleep 1000", log))
        await child.start()
        keeper = psutil.Process(child.pid).ppid()
        held = os.open(f"/proc/{keeper}/fd/1", os.O_WRONLY)
        os.kill(keeper, signal.SIGKILL)
        while child.returncode is None:  # noqa: ASYNC110 (its event is for the pipe's end too)
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.1, os.close, held)
        await child.stop()

    asyncio.run(run())
    gc.collect()  # what was left open warns now, and warnings are errors here


def test_serves_under_uvloop_too(log: Path) -> None:
    async def run() -> int | None:
        async with ChildProcess(bash(FAMILY, log)) as child:
            await log_lines(child, 1)
        return child.returncode

    assert uvloop.run(run()) == 7


async def test_a_killed_keeper_takes_the_child_along(log: Path, watch: Watch) -> None:
    async with ChildProcess(bash("echo up; sleep 1000", log)) as child:
        await log_lines(child, 1)
        watch.add(child.pid)
        os.kill(psutil.Process(child.pid).ppid(), signal.SIGKILL)
        watch.wait_gone()
    assert child.returncode == -signal.SIGKILL


@pytest.fixture
def parent(log: Path, watch: Watch) -> Iterator[subprocess.Popen[str]]:
    """A process of its own group that keeps FAMILY; all three are watched."""
    command = [sys.executable, "-c", PARENT, str(log), FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip(), "the parent did not come up"
        watch.add(*(int(word) for word in log.read_text().split()))
        yield process
        process.kill()


def test_no_child_outlives_a_parent_killed_with_sigkill(
    parent: subprocess.Popen[str], log: Path, watch: Watch
) -> None:
    parent.kill()
    watch.wait_gone()
    assert log.read_text().splitlines()[1:] == ["TERM"], "the child was not asked before it was killed"


def test_a_fork_of_the_parent_does_not_keep_its_children_alive(log: Path, watch: Watch) -> None:
    """The fork holds the pipe to the keeper, so that only the parent's own end can tell."""
    forking = PARENT.replace("print(child.pid", "import os, time; os.fork() or time.sleep(1000); print(child.pid")
    command = [sys.executable, "-c", forking, str(log), FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip(), "the parent did not come up"
        watch.add(*(int(word) for word in log.read_text().split()))
        process.kill()
        try:
            watch.wait_gone()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c_reaches_the_parent_alone_which_then_stops_its_child(
    parent: subprocess.Popen[str], log: Path, watch: Watch
) -> None:
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait(GONE_WITHIN) == 130
    watch.wait_gone()
    assert log.read_text().splitlines()[1:] == ["TERM"], "the child saw another signal than the stop"


async def never() -> bool:
    return False
