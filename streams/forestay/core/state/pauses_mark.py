"""What a partition's mark says of automatic pauses: what was told of offers, and which are stopped."""

import msgspec


class Counted(msgspec.Struct, array_like=True, frozen=True):
    """Actions by parts of a rule's window; `subject` is an offer or a kind, and named once: marks must stay small.

    Of each part its number, how many actions were first told of in it, and how many were first told of badly.
    """

    rule: int
    subject: str
    parts: tuple[tuple[int, int, int], ...]


class Tripped(msgspec.Struct, array_like=True, frozen=True):
    """A rule that has stopped its subject, at event time `at` (milliseconds), over the counts of its window."""

    rule: int
    subject: str
    at: int
    told: int
    bad: int


class PausesMark(msgspec.Struct, array_like=True, frozen=True):
    """As of the rules of the catalogue of that version; under another it counts for nothing."""

    version: str
    counted: tuple[Counted, ...]
    tripped: tuple[Tripped, ...]


def encode_pauses(mark: PausesMark) -> bytes:
    """Returns it as bytes, for a digest."""
    return bytes(msgspec.msgpack.encode(mark))
