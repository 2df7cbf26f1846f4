"""Keeper: runs one command and sees to it that nothing the command started outlives the parent.

Run by ``process.ChildProcess`` as ``python -I -S keeper.py PARENT_PID STOP_SIGNAL GRACE_SECONDS COMMAND...``, in a
session of its own, with the standard library only: it starts in some 20 ms and holds 10 MB.

The channel to the parent: file 0 is a pipe that the parent holds open, file 1 tells the command's process id on one
line, file 2 is the log of the command. When file 0 closes, because the parent asks for the stop or because it is
gone, however it went, the command gets STOP_SIGNAL, then SIGKILL after GRACE_SECONDS, and whatever it left behind
gets SIGKILL. A stop that was asked for and the death of the parent thus take the same way.

Exit status: the command's own, or 128 + N if signal N ended it.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from pathlib import Path

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_STOP_REQUESTS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_COMMAND_NOT_RUN = 127


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _become(command: list[str], keeper: int) -> None:
    """In the forked child: take the standard files, ask to die with the keeper, become the command."""
    try:
        os.setpgid(0, 0)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            return
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        # Python ignores SIGPIPE, and what is ignored stays so through exec.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606 (no shell is what is wanted)
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(_COMMAND_NOT_RUN)


def _wakeup_pipe() -> int:
    """Return a file that turns readable, one byte a signal, when a child ends or a stop is asked for."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGCHLD, *_STOP_REQUESTS):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _watch_parent(parent: int) -> list[int]:
    """Return the files that turn readable when the parent is gone."""
    watched = [0]
    # The pipe alone would miss a parent that forked without exec: the fork holds the other end. Kernels before
    # 5.3 have no pidfd, and a parent that is gone already has none either; the pipe tells of that one.
    with contextlib.suppress(OSError):
        watched.append(os.pidfd_open(parent))
    return watched


def _reap(child: int) -> int | None:
    """Reap every ended process; return the child's wait status once it is among them."""
    status = None
    while True:
        try:
            pid, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = found


def _own_children() -> list[int]:
    """Return the processes whose parent is this one; as a subreaper it inherits every orphan of the command."""
    me, found = os.getpid(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # ended between listing and reading
                after_name = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                if int(after_name[1]) == me:
                    found.append(int(entry.name))
    return found


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _sweep() -> None:
    """Kill and reap all that is left: each one killed hands its own children to us, until none is left."""
    while True:
        for pid in _own_children():
            _kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _keep(child: int, wakeup: int, parent_gone: list[int], stop_signal: int, grace: float) -> int:
    """Wait for the child's end, stopping it when the parent asks or is gone; return its wait status."""
    deadline: float | None = None
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([wakeup, *parent_gone], [], [], left)
        stop = any(file in readable for file in parent_gone)
        if wakeup in readable:
            stop = not _STOP_REQUESTS.isdisjoint(os.read(wakeup, 512)) or stop
        status = _reap(child)
        if status is not None:
            return status
        if deadline is None and stop:
            parent_gone, deadline = [], time.monotonic() + grace
            _kill(child, stop_signal)
        elif deadline is not None and time.monotonic() >= deadline:
            deadline = None
            parent_gone = []
            _kill(child, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Run the command of ``arguments`` to its end; return the exit status described above."""
    parent, stop_signal, grace, command = (
        int(arguments[0]),
        int(arguments[1]),
        float(arguments[2]),
        arguments[3:],
    )
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wakeup, parent_gone, keeper = _wakeup_pipe(), _watch_parent(parent), os.getpid()
    child = os.fork()
    if child == 0:
        _become(command, keeper)
    with contextlib.suppress(BrokenPipeError):  # a parent gone this early is seen on file 0
        os.write(1, f"{child}\n".encode())
    status = _keep(child, wakeup, parent_gone, stop_signal, grace)
    _sweep()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
