"""Which ids are one user, by what events up to a moment said (`docs/features.md`, 'Two ids, one user')."""

from typing import NamedTuple

from forestay.core.event import NEVER, Event


class Owned(NamedTuple):
    """Whose an id is, and since when (milliseconds)."""

    owner: str
    since: int


class Links:
    """Pairs of a user and another id of theirs, each with the time it was first said."""

    def __init__(self) -> None:
        """Starts with none; memory grows with the number of different pairs."""
        self._first: dict[tuple[str, str], int] = {}

    def add(self, event: Event) -> None:
        """Takes what an event says."""
        other = event.anonymous_id
        if other is None or other == event.user_id:
            return
        pair = event.user_id, other
        known = self._first.get(pair, NEVER)
        if known == NEVER or event.ts < known:
            self._first[pair] = event.ts

    def owners(self, at: int) -> dict[str, str]:
        """Returns ids that are another's, with that other, by what was said up to `at`."""
        return {other: owned.owner for other, owned in self.owned().items() if owned.since <= at}

    def owned(self) -> dict[str, Owned]:
        """Returns ids that are another's, with that other, and since when they are.

        What was said first holds; at the same moment, the smaller ids. An id that has others of its own is a
        user, and does not become another's; one that is another's passes on what is said of it. What is said
        later takes nothing back.
        """
        owned: dict[str, Owned] = {}
        users: set[str] = set()
        for ts, user, other in sorted((ts, user, other) for (user, other), ts in self._first.items()):
            owner = owned[user].owner if user in owned else user
            users.add(owner)
            if other not in owned and other not in users:
                owned[other] = Owned(owner, ts)
        return owned
