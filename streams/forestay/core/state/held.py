"""Actions that wait for the end of a user's quiet hours."""

from typing import Final

from mypy_extensions import mypyc_attr

from forestay.core.packing import RecordReader, RecordWriter

#: Actions that wait for one user: one, or more where ids became one user while each had one waiting.
MAX_HELD: Final = 8
#: Bytes of the decision kept, without its candidates: 1.5 KiB is usual.
_LONGEST: Final = 65_536


@mypyc_attr(acyclic=True)
class Held:
    """A chosen action that waits: until when (milliseconds), by which decision, and that decision as JSON."""

    __slots__ = ("decision", "decision_id", "until")

    def __init__(self, until: int, decision_id: str, decision: bytes) -> None:
        """`decision` without candidates and suppressed: they are in the log."""
        self.until = until
        self.decision_id = decision_id
        self.decision = decision


def put_held(held: list[Held], one: Held) -> list[Held]:
    """Returns all that waits, the soonest first, each at a moment of its own: a user has one decision a moment."""
    taken = [other.until for other in held]
    until = one.until
    while until in taken:
        until += 1
    both = [*held, Held(until, one.decision_id, one.decision)]
    both.sort(key=_when)
    return both[:MAX_HELD]


def _when(one: Held) -> int:
    return one.until


def write_held(writer: RecordWriter, held: list[Held], latest: int) -> None:
    """Writes all, moments as distances from `latest` (milliseconds)."""
    writer.number(len(held))
    for one in held:
        writer.number(latest - one.until)
        writer.text(one.decision_id)
        writer.number(len(one.decision))
        writer.raw(one.decision)


def read_held(reader: RecordReader, latest: int) -> list[Held]:
    """Reads what `write_held` wrote.

    Raises:
        StateError: it is no such thing.
    """
    held: list[Held] = []
    for _ in range(reader.count(MAX_HELD)):
        until = reader.moment(latest)
        decision_id = reader.text()
        held.append(Held(until, decision_id, reader.raw(reader.count(_LONGEST))))
    return held
