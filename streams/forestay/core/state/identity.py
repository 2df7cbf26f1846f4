"""What a user's record says of other ids of the same person (`docs/identity.md`)."""

from typing import Final

from forestay.core.event import NEVER
from forestay.core.packing import RecordReader, RecordWriter

#: Other ids remembered a user: beyond, the one not heard of for longest is forgotten.
MAX_LINKS: Final[int] = 64


class Identity:
    """Where this id's state has gone, and whose state it has taken in.

    `merged_into` is the id this one turned out to be, empty for none; `moved` says that the state has been
    sent there. `asked` holds ids whose state has been asked for, `absorbed` those whose state has come, with
    the source offset up to which it holds their events. `met` is the offset of the last record of the identity
    topic that this one took in: a repeated reading up to it is skipped.
    """

    __slots__ = ("absorbed", "asked", "merged_into", "met", "moved")

    def __init__(self) -> None:
        """Starts as an id that stands for itself."""
        self.merged_into = ""
        self.moved = False
        self.met = NEVER
        self.asked: dict[str, None] = {}
        self.absorbed: dict[str, int] = {}

    def is_user(self) -> bool:
        """Says whether others were merged into this id, or were asked for: then it is not merged itself."""
        return bool(self.asked or self.absorbed)

    def knows(self, other: str) -> bool:
        """Says whether the other id's state was asked for or has come."""
        return other in self.absorbed or other in self.asked

    def ask(self, other: str) -> None:
        """Notes that the other id's state is asked for."""
        self.asked[other] = None
        if len(self.asked) > MAX_LINKS:
            del self.asked[next(iter(self.asked))]

    def taken(self, other: str) -> int:
        """Returns the source offset up to which the other id's events have come, `NEVER` if none has."""
        return self.absorbed.get(other, NEVER)

    def take(self, other: str, offset: int) -> None:
        """Notes that the other id's events have come up to `offset`."""
        self.asked.pop(other, None)
        # The last heard of stands last.
        self.absorbed.pop(other, None)
        self.absorbed[other] = offset
        if len(self.absorbed) > MAX_LINKS:
            del self.absorbed[next(iter(self.absorbed))]

    def write(self, writer: RecordWriter) -> None:
        """Writes all of it."""
        writer.text(self.merged_into)
        writer.number(int(self.moved))
        writer.number(self.met)
        writer.number(len(self.asked))
        for other in self.asked:
            writer.text(other)
        writer.number(len(self.absorbed))
        for other, offset in self.absorbed.items():
            writer.text(other)
            writer.number(offset)

    @staticmethod
    def read(reader: RecordReader) -> "Identity":
        """Returns what `write` wrote.

        Raises:
            StateError: it wrote no such thing.
        """
        identity = Identity()
        identity.merged_into = reader.text()
        identity.moved = bool(reader.count(1))
        identity.met = reader.number()
        for _ in range(reader.count(MAX_LINKS)):
            identity.asked[reader.text()] = None
        for _ in range(reader.count(MAX_LINKS)):
            other = reader.text()
            identity.absorbed[other] = reader.number()
        return identity


def is_leaving(identity: Identity | None) -> bool:
    """Says whether the state is to be sent to another id and has not been."""
    return identity is not None and bool(identity.merged_into) and not identity.moved
