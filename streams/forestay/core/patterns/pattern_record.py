"""A user's memory of triggers as numbers of the state record (`packing`).

    number of triggers, then if there are any the newest time, and for each trigger, by key:
    key, cancelled, fired, number of A's, number of B's, A's, B's

`newest time` is the newest of all times, in milliseconds since the epoch. `cancelled` and `fired` are how
long before it they lie, -1 for never. A's and B's are pairs of a time and an item, newest first, the time
as the milliseconds from the time before it (of the first: from the newest of all), the item as a short hash, 0 for
none. A trigger takes about 10 bytes, an A or a B about 10 more.
"""

from librt.vecs import vec
from mypy_extensions import i64

from forestay.core.errors import StateError
from forestay.core.packing import HASHES, RecordReader, RecordWriter
from forestay.core.patterns.pattern_trigger import MAX_ITEMS, MAX_TIMES, MAX_TRIGGERS, NEVER, TriggerMemory
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS


def write(writer: RecordWriter, triggers: list[TriggerMemory]) -> None:
    """Writes the memory of triggers, which stand by key; one of which nothing is remembered is left out."""
    triggers = [memory for memory in triggers if not memory.is_empty()]
    writer.number(len(triggers))
    if not triggers:
        return
    newest: i64 = NEVER
    for memory in triggers:
        newest = max(newest, _newest(memory))
    writer.number(newest)
    for memory in triggers:
        writer.number(memory.key)
        writer.number(NEVER if memory.cancelled == NEVER else newest - memory.cancelled)
        writer.number(NEVER if memory.fired == NEVER else newest - memory.fired)
        writer.number(len(memory.whens) // 2)
        writer.number(len(memory.unless) // 2)
        _write_pairs(writer, newest, memory.whens)
        _write_pairs(writer, newest, memory.unless)


def read(reader: RecordReader) -> list[TriggerMemory]:
    """Returns the memory that `write` wrote, due times not made yet.

    Raises:
        StateError: it wrote no such thing.
    """
    triggers: list[TriggerMemory] = []
    number = reader.count(MAX_TRIGGERS)
    if number == 0:
        return triggers
    newest = reader.count(MAX_EPOCH_MILLISECONDS)
    before: i64 = NEVER
    for _ in range(number):
        key = reader.number()
        if key <= before:
            raise StateError("a user's memory of triggers holds one twice, or not in its place")
        before = key
        memory = TriggerMemory(key)
        memory.cancelled = _read_past(reader, newest)
        memory.fired = _read_past(reader, newest)
        whens = reader.count(MAX_TIMES)
        unless = reader.count(MAX_ITEMS)
        memory.whens = _read_pairs(reader, newest, whens)
        memory.unless = _read_pairs(reader, newest, unless)
        if memory.is_empty():
            raise StateError("a user's memory of triggers holds nothing of one")
        triggers.append(memory)
    return triggers


def _newest(memory: TriggerMemory) -> i64:
    """Returns the newest time remembered of a trigger."""
    newest = max(memory.cancelled, memory.fired)
    whens, unless = memory.whens, memory.unless
    if len(whens) > 0:
        newest = max(newest, whens[len(whens) - 2])
    if len(unless) > 0:
        newest = max(newest, unless[len(unless) - 2])
    return newest


def _write_pairs(writer: RecordWriter, before: i64, pairs: vec[i64]) -> None:
    at: i64 = len(pairs) - 2
    while at >= 0:
        writer.number(before - pairs[at])
        writer.hash(pairs[at + 1])
        before = pairs[at]
        at -= 2


def _read_pairs(reader: RecordReader, before: i64, number: i64) -> vec[i64]:
    pairs = vec[i64]([0] * (2 * number))
    newer: i64 = HASHES
    at: i64 = 2 * number - 2
    while at >= 0:
        distance = reader.count(before)
        item = reader.hash()
        if distance == 0 and item > newer:
            raise StateError("a user's memory of triggers holds items in an order that cannot be")
        before -= distance
        newer = item
        pairs[at] = before
        pairs[at + 1] = item
        at -= 2
    return pairs


def _read_past(reader: RecordReader, newest: i64) -> i64:
    """Reads how long before `newest` something was, -1 for never; returns when."""
    distance = reader.number()
    if distance == NEVER:
        return NEVER
    if not 0 <= distance <= newest:
        raise StateError("a user's memory of triggers has a time that cannot be")
    return newest - distance
