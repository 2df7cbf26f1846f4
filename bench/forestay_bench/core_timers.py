"""What time and events cost in the core alone, by how many users it holds: no broker, no model."""

import gc
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import process_time
from typing import Final

import msgspec

from forestay.core.partition import Partition
from forestay.core.record import SourceRecord
from forestay.core.units import DAY, HOUR, MINUTE
from forestay_bench.core_memory import SPREAD
from forestay_bench.core_records import SOURCES, Recorded, defaults, partition
from forestay_bench.core_replicas import mark, replicas, restored, user_id
from forestay_bench.errors import RunFailedError
from forestay_bench.processes import resident_bytes
from forestay_bench.stream import StreamSpec, lines, rfc3339

#: Nobody is due for a day: SPREAD begins with two half days.
_IDLE_TICKS: Final = 1_000
#: Enough to be measured; the search ends after so many days of ticks.
_DUE_USERS: Final = 20_000
_DUE_DAYS: Final = 30
_EVENTS: Final = 20_000
_BATCH: Final = 500
_COMMIT_EVERY: Final = 5_000
_MICRO: Final = 1e6
_SEED: Final = 4_300
#: Beyond those in the recorded states: an event at or before these would be a replayed one.
_FIRST_OFFSET: Final = 2**40


@dataclass
class TimerCosts:
    """CPU time in microseconds; `timer_bytes` a user. `restored_a_second` are records, none of them unpacked."""

    users: int
    restored_a_second: float
    unpack_us: float
    timer_bytes: float
    tick_us: float
    due_users: int
    due_user_us: float


@dataclass
class EventCosts:
    """CPU time in microseconds: of an event, of another of the same user before the next commit, of a record there.

    `different_users` is how many had the events: with few, most are live when the first of the two comes.
    """

    users: int
    events: int
    different_users: int
    first_us: float
    again_us: float
    commit_us: float


def measure_timers(made: Recorded, users: int) -> TimerCosts:
    """Restores so many users, all of them idle, and lets time pass."""
    held = dict(replicas(made.records, users, SPREAD))
    core = partition(defaults())
    gc.collect()
    before, began = resident_bytes(), process_time()
    core.restore(held, mark(made))
    restore_seconds, timer_bytes = process_time() - began, resident_bytes() - before
    unpack_us = _unpacking(made, min(users, _DUE_USERS))
    clock, offset = made.clock, 0
    began = process_time()
    for offset in range(_IDLE_TICKS):
        clock += MINUTE // 2
        if _tick(core, clock, offset):
            raise RunFailedError("somebody was due on a day on which nobody should be")
    tick_us = (process_time() - began) / _IDLE_TICKS * _MICRO
    due_users, hours, seconds = 0, 0, 0.0
    while due_users < _DUE_USERS and hours < _DUE_DAYS * DAY // HOUR:
        clock, offset, hours = clock + HOUR, offset + 1, hours + 1
        began = process_time()
        due_users += _tick(core, clock, offset)
        seconds += process_time() - began
    due_user_us = (seconds * _MICRO - hours * tick_us) / max(due_users, 1)
    return TimerCosts(users, users / restore_seconds, unpack_us, timer_bytes / users, tick_us, due_users, due_user_us)


def measure_events(made: Recorded, users: int) -> EventCosts:
    """Restores so many users and gives the core events of users drawn evenly, each soon twice; nothing is scored."""
    core = restored(made, users, range(1), defaults()._replace(score_on=frozenset()))
    chance = random.Random(_SEED)  # noqa: S311
    drawn = [[chance.randrange(users) for _ in range(_COMMIT_EVERY)] for _ in range(_EVENTS // _COMMIT_EVERY)]
    records = list(events_of([user for some in drawn for user in some + some], made.clock))
    gc.collect()
    first = again = commits = 0.0
    written = 0
    for start in range(0, len(records), 2 * _COMMIT_EVERY):
        first += _applying(core, records[start : start + _COMMIT_EVERY])
        again += _applying(core, records[start + _COMMIT_EVERY : start + 2 * _COMMIT_EVERY])
        began = process_time()
        written += len(core.checkpoint(0, 0)) - 1
        commits += process_time() - began
    each = _MICRO / _EVENTS
    return EventCosts(
        users, _EVENTS, len(set().union(*drawn)), first * each, again * each, commits * _MICRO / written
    )


def _applying(core: Partition, records: Sequence[SourceRecord]) -> float:
    """Applies the events, and returns the seconds it took."""
    began = process_time()
    for start in range(0, len(records), _BATCH):
        failed = core.apply(SOURCES.clickstream, records[start : start + _BATCH]).dead_letters
        if failed:
            raise RunFailedError(f"the core refused an event: {failed[0]}")
    return process_time() - began


def _unpacking(made: Recorded, users: int) -> float:
    """Returns what the first touch of a packed user costs."""
    core = restored(made, users, SPREAD, defaults())
    ids = core.users.ids()
    gc.collect()
    began = process_time()
    for user in ids:
        core.users.get(user)
    return (process_time() - began) / len(ids) * _MICRO


def _tick(core: Partition, clock: int, offset: int) -> int:
    """Tells the clock, and returns how many times a user was due: for a situation, or to be forgotten."""
    known = len(core.users)
    value = msgspec.json.encode({"ts": rfc3339(clock)})
    told = core.apply(SOURCES.clock, [SourceRecord(SOURCES.clock, 0, offset, clock, None, value)])
    return len(told.situations) + known - len(core.users)


def events_of(drawn: Sequence[int], clock: int) -> Iterator[SourceRecord]:
    """Yields an event of each drawn user, a millisecond apart, after `clock`: like those of the comparison."""
    for number, (user, line) in enumerate(zip(drawn, lines(StreamSpec(len(drawn))), strict=True)):
        ts = clock + 1 + number
        event = msgspec.json.decode(line)
        event |= {"user_id": user_id(user), "ts": rfc3339(ts)}
        key, value = event["user_id"].encode(), msgspec.json.encode(event)
        yield SourceRecord(SOURCES.clickstream, 0, _FIRST_OFFSET + number, ts, key, value)
