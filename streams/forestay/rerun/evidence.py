"""Finds, once a batch differs, the recorded records it is to be compared with."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from forestay.core.record import OutputRecord
from forestay.output_reading import Unreadable, read_dead_letter
from forestay.rerun.outputs import Kind
from forestay.rerun.readable import FieldChange, field_changes
from forestay.rerun.reading import Rows
from forestay.rerun.recorded_outputs import name_of


class _Trigger(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    offset: int


class _Caused(msgspec.Struct, frozen=True):
    trigger: _Trigger


class Example(NamedTuple):
    """The first record that differs, by its id, and its fields that do."""

    record: str
    fields: list[FieldChange]


class Extent(NamedTuple):
    """What a batch took; with `more`, users were woken by the next record too."""

    topic: str
    partition: int
    begin: int
    end: int
    more: bool

    def holds(self, topic: str, partition: int, offset: int) -> bool:
        """Says whether the batch took, or was told the time by, this record."""
        last = self.end if self.more else self.end - 1
        return (topic, partition) == (self.topic, self.partition) and self.begin <= offset <= last


class _Told(NamedTuple):
    """An output: its id, the record that caused it, and what a person is shown of it."""

    name: str
    cause: tuple[str, int, int]
    shown: bytes


#: What does not say which batch it came of.
_UNTOLD: Final = (Kind.FEATURES, Kind.OUTCOMES)
_caused: Final = msgspec.json.Decoder(_Caused).decode


def recorded_batch(kind: Kind, recordings: Rows, topic: str, extent: Extent) -> list[OutputRecord]:
    """Returns what a batch made of a kind, as recorded, each once; empty if it was not recorded, or cannot be told.

    With `more`, some of it may be the next batch's.
    """
    if topic not in recordings.topics or kind in _UNTOLD:
        return []
    found: dict[str, OutputRecord] = {}
    for row in recordings.rows([topic]):
        record = OutputRecord(row.key, row.value, row.headers)
        try:
            told = _told(kind, record)
        except (msgspec.DecodeError, Unreadable):
            continue
        if extent.holds(*told.cause):
            found.setdefault(told.name, record)
    return list(found.values())


def first_difference(kind: Kind, made: Sequence[OutputRecord], recorded: Sequence[OutputRecord]) -> Example | None:
    """Returns the first record that was made otherwise than recorded, or not recorded, or not made."""
    if not recorded:
        return None
    left = {told.name: told.shown for told in (_told(kind, record) for record in recorded)}
    for told in (_told(kind, record) for record in made):
        before = left.pop(told.name, None)
        if before != told.shown:
            return Example(told.name, field_changes(before, told.shown))
    return next((Example(name, field_changes(before, None)) for name, before in left.items()), None)


def _told(kind: Kind, record: OutputRecord) -> _Told:
    """Returns what an output says of itself.

    Raises:
        msgspec.DecodeError, Unreadable: it is not what its topic holds.
    """
    value = record.value or b""
    if kind is Kind.DEAD_LETTERS:
        letter = read_dead_letter(record.key, record.value, [(name, one or b"") for name, one in record.headers])
        shown = {"error": letter.code, "reason": letter.reason, "content": letter.digest.hex()}
        cause = (letter.topic, letter.partition, letter.offset)
        return _Told(f"the letter of {cause[0]}-{cause[1]}@{cause[2]}", cause, msgspec.json.encode(shown))
    trigger = _caused(value).trigger
    return _Told(name_of(kind, value), (trigger.topic, trigger.partition, trigger.offset), value)
