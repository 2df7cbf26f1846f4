"""CPU time and memory of processes, from /proc."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
#: Fields of /proc/PID/stat after the name: user, system, and both of ended children that were waited for.
_TIMES: Final = slice(11, 15)


def family(pid: int) -> Iterator[int]:
    """Yields a process and those below it that live."""
    yield pid
    # Between being listed and being read a process may end.
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def cpu_seconds(pids: Iterable[int]) -> float:
    """Returns user and system time of the processes, their threads and children, in seconds (steps of 0.01)."""
    ticks = 0
    for pid in pids:
        for member in family(pid):
            with suppress(OSError):
                fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(int(field) for field in fields[_TIMES])
    return ticks / _TICKS


def peak_memory(pids: Iterable[int]) -> float:
    """Returns the largest resident sizes ever of the processes and their children, summed, in MB."""
    kilobytes = 0
    for pid in pids:
        for member in family(pid):
            with suppress(OSError):
                status = Path(f"/proc/{member}/status").read_text()
                kilobytes += int(status.partition("VmHWM:")[2].split()[0]) if "VmHWM:" in status else 0
    return kilobytes * 1024 / 1e6


def resident_bytes(pid: int | str = "self") -> int:
    """Returns what a process (this one) holds in memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def busy_seconds() -> float:
    """Returns what all processors have worked since the machine started, in seconds, with what was stolen from it."""
    with Path("/proc/stat").open() as stat:
        user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def own_cpu_seconds() -> float:
    """Returns what this process has used, in seconds."""
    used = os.times()
    return used.user + used.system
