"""What a user's record says of other ids of the same person (`docs/identity.md`)."""

from typing import Any, Final

from forestay.core.event import NEVER

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

    def to_plain(self) -> list[Any]:
        """Returns lists, texts and numbers to be written."""
        return [self.merged_into, self.moved, self.met, list(self.asked), self.absorbed]

    @staticmethod
    def from_plain(plain: list[Any]) -> "Identity":
        """Returns what `to_plain` wrote."""
        identity = Identity()
        identity.merged_into = plain[0]
        identity.moved = plain[1]
        identity.met = plain[2]
        identity.asked = dict.fromkeys(plain[3])
        identity.absorbed = plain[4]
        return identity


def is_leaving(identity: Identity | None) -> bool:
    """Says whether the state is to be sent to another id and has not been."""
    return identity is not None and bool(identity.merged_into) and not identity.moved
