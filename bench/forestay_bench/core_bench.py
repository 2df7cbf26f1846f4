"""The measurements in the core, each in a process of its own, and their tables."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from rich.table import Table
from support.datasets import Share, online_retail
from support.proving import data_sets

from forestay_bench.core_memory import GIB, LiveMemory, Memory
from forestay_bench.core_records import Sizes, recorded, save, sizes
from forestay_bench.core_timers import EventCosts, TimerCosts
from forestay_bench.errors import BenchError, RunFailedError
from forestay_bench.paths import CACHE
from forestay_bench.screen import Screen
from forestay_bench.workers import inherited

#: Users of a large set are taken in so many parts, to save memory.
_SHARES: Final = 8
_RECORDING: Final = "Online Retail II"
_MIB: Final = 2**20


@dataclass
class Core:
    """State records of the shipped recording, and what is measured with them."""

    sizes: Sizes
    _file: Path
    _screen: Screen

    @classmethod
    @contextmanager
    def open(cls, screen: Screen) -> Iterator[Self]:
        """Makes the records (about a minute); they are gone in the end."""
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="core-", dir=CACHE) as folder:
            file = Path(folder) / "records"
            with screen.step(f"the core takes {_RECORDING}"):
                made = recorded(online_retail(Share()))
                save(made, file)
            yield cls(sizes(_RECORDING, made.records), file, screen)

    def packed(self, users: int) -> Memory:
        """Measures the memory of so many users after recovery."""
        return Memory(**self._measured("packed", users))

    def live(self, users: int) -> LiveMemory:
        """Measures the memory of live users."""
        return LiveMemory(**self._measured("live", users))

    def timers(self, users: int) -> TimerCosts:
        """Measures what time costs with so many users."""
        return TimerCosts(**self._measured("timers", users))

    def events(self, users: int) -> EventCosts:
        """Measures what events cost with so many users."""
        return EventCosts(**self._measured("events", users))

    def _measured(self, what: str, users: int) -> dict[str, Any]:
        command = [sys.executable, "-m", "forestay_bench.core_child", what, str(self._file), str(users)]
        with self._screen.step(f"{what}, {users:,} users"):
            done = subprocess.run(command, env=inherited(), capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise RunFailedError(f"the measurement of {what} ended with {done.returncode}:\n{done.stderr}")
        held: dict[str, Any] = json.loads(done.stdout)
        return held


def sizes_of_sets(folder: Path, screen: Screen) -> list[Sizes]:
    """Returns the sizes of records of the public sets in `folder`; those that are not there are left out aloud."""
    found = []
    for name, load in data_sets(folder).items():
        if name == _RECORDING:
            continue
        try:
            with screen.step(f"the core takes {name}"):
                made = [recorded(load(Share(number, _SHARES))).records for number in range(_SHARES)]
        except FileNotFoundError as error:
            screen.note(f"LEFT OUT: {name}: {error.filename} is not there")
            continue
        found.append(sizes(name, [record for share in made for record in share]))
    if not found:
        raise BenchError(f"{folder} holds none of the sets: cdnow/, retailrocket_mini/, complete_journey/")
    return found


def sizes_table(found: Sequence[Sizes]) -> Table:
    """Returns the sizes, a set a row."""
    shown = _table("state records, bytes", "users", "mean", "median", "p90", "largest")
    for one in found:
        shown.add_row(one.name, *(f"{value:,.0f}" for value in one[1:]))
    return shown


def memory_table(packed: Memory, live: LiveMemory) -> Table:
    """Returns where the bytes are, a part a row."""
    shown = _table(f"memory of {packed.users:,} users", "bytes a user", "MiB")
    both = partial(_both, packed.users)
    parts = {
        "record": packed.record_a_user,
        "record's object": packed.record_object_a_user,
        "id": packed.id_a_user,
        "tables": packed.tables_a_user,
    }
    parts["timer, rounding"] = packed.bytes_a_user - sum(parts.values())
    for name, value in parts.items():
        shown.add_row(name, *both(value))
    shown.add_row("all, packed", *both(packed.bytes_a_user), end_section=True)
    shown.add_row("a live one", f"{live.bytes_a_user:,.0f}", "")
    wholes = {
        "a worker without users": packed.base_bytes,
        "with all": packed.idle_bytes,
        "at most while it recovered": packed.peak_bytes,
        f"after {packed.touched:,} of them had events": packed.busy_bytes,
    }
    for name, size in wholes.items():
        shown.add_row(name, "", f"{size / _MIB:,.0f}")
    return shown


def verdict(packed: Memory) -> str:
    """Says whether the users fit into 1 GiB."""
    says = {True: "fit", False: "DO NOT FIT"}
    return (
        f"{packed.users:,} users {says[packed.fits]} into 1 GiB ({GIB:,} bytes);"
        f" after {packed.touched:,} of them had events they {says[packed.fits_busy]}"
    )


def timers_table(timers: Sequence[TimerCosts], events: Sequence[EventCosts]) -> Table:
    """Returns what time and events cost, a row a number of users."""
    shown = _table(
        "users",
        *("restored/s", "µs to unpack one", "timer, bytes", "µs a tick, nobody due", "µs a due user", "due"),
        *("µs an event, first", "again", "µs a record, commit"),
    )
    for time, event in zip(timers, events, strict=True):
        shown.add_row(
            f"{time.users:,}",
            f"{time.restored_a_second:,.0f}",
            f"{time.unpack_us:.1f}",
            f"{time.timer_bytes:.0f}",
            f"{time.tick_us:.1f}",
            f"{time.due_user_us:.1f}",
            f"{time.due_users:,}",
            f"{event.first_us:.1f}",
            f"{event.again_us:.1f}",
            f"{event.commit_us:.1f}",
        )
    return shown


def _both(users: int, each: float) -> tuple[str, str]:
    return f"{each:,.0f}", f"{each * users / _MIB:,.0f}"


def _table(first: str, *columns: str) -> Table:
    shown = Table()
    shown.add_column(first)
    for column in columns:
        shown.add_column(column, justify="right")
    return shown
