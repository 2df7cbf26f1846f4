"""A user's memory of triggers as a list of whole numbers, for the state record.

    newest time, then for each trigger, by key:
    key, cancelled, fired, number of A's, number of B's, A's, B's

`newest time` is the newest of all times, in milliseconds since the epoch. `cancelled` and `fired` are how
long before it they lie, -1 for never. A's and B's are pairs of a time and an item, newest first, the time
as the milliseconds from the time before it (of the first: from the newest of all). As MessagePack a trigger
takes about 10 bytes, an A or a B about 5 more and its item 9, where the trigger is by item.
"""

from typing import Final

from forestay.core.errors import StateError
from forestay.core.pattern_trigger import MAX_ITEMS, MAX_TIMES, NEVER, TriggerMemory

#: Numbers of a trigger before its A's.
_HEAD: Final[int] = 5


def written(triggers: dict[int, TriggerMemory]) -> list[int]:
    """Returns the memory of each trigger, by key, as numbers; an empty list for no triggers."""
    if not triggers:
        return []
    newest = NEVER
    for memory in triggers.values():
        newest = max(newest, memory.cancelled, memory.fired)
        if memory.times:
            newest = max(newest, memory.times[-1])
        for ts in memory.unless.values():
            newest = max(newest, ts)
    plain = [newest]
    for key in sorted(triggers):
        memory = triggers[key]
        plain.append(key)
        plain.append(NEVER if memory.cancelled == NEVER else newest - memory.cancelled)
        plain.append(NEVER if memory.fired == NEVER else newest - memory.fired)
        plain.append(len(memory.times))
        plain.append(len(memory.unless))
        before = newest
        for at in range(len(memory.times) - 1, -1, -1):
            plain.append(before - memory.times[at])
            plain.append(memory.items[at])
            before = memory.times[at]
        _write_unless(plain, newest, memory.unless)
    return plain


def read(plain: list[int]) -> dict[int, TriggerMemory]:
    """Returns the memory that `written` wrote, due times not made yet.

    Raises:
        StateError: it wrote no such thing.
    """
    triggers: dict[int, TriggerMemory] = {}
    at = 1
    while at < len(plain):
        if at + _HEAD > len(plain):
            raise StateError("a user's memory of triggers ends in the middle of one")
        key, cancelled, fired, whens, unlesses = plain[at : at + _HEAD]
        at += _HEAD
        if not 0 <= whens <= MAX_TIMES or not 0 <= unlesses <= MAX_ITEMS or at + 2 * (whens + unlesses) > len(plain):
            raise StateError("a user's memory of triggers has counts that cannot be")
        memory = TriggerMemory()
        memory.cancelled = NEVER if cancelled == NEVER else _moment(plain[0], cancelled)
        memory.fired = NEVER if fired == NEVER else _moment(plain[0], fired)
        for ts, item in reversed(_read(plain, at, whens)):
            memory.times.append(ts)
            memory.items.append(item)
        at += 2 * whens
        for ts, item in _read(plain, at, unlesses):
            memory.unless[item] = ts
        at += 2 * unlesses
        triggers[key] = memory
    return triggers


def _write_unless(plain: list[int], before: int, unless: dict[int, int]) -> None:
    """Appends (time, item) pairs, newest first, each time as its distance from the one before."""
    if not unless:
        return
    for ts, item in sorted([(ts, item) for item, ts in unless.items()], reverse=True):
        plain.append(before - ts)
        plain.append(item)
        before = ts


def _read(plain: list[int], at: int, number: int) -> list[tuple[int, int]]:
    """Returns `number` pairs that `_write` wrote at position `at`, newest first."""
    times: list[tuple[int, int]] = []
    before = plain[0]
    for position in range(at, at + 2 * number, 2):
        before = _moment(before, plain[position])
        times.append((before, plain[position + 1]))
    return times


def _moment(after: int, distance: int) -> int:
    """Returns the moment `distance` before `after`."""
    if not 0 <= distance <= after:
        raise StateError("a user's memory of triggers has a time that cannot be")
    return after - distance
