"""Which ids are one user, by what events up to a moment said (`docs/features.md`, 'Two ids, one user')."""

from forestay.core.event import NEVER, Event


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
        """Returns ids that are another's, with that other, by what was said up to `at`.

        What was said first holds; at the same moment, the smaller ids. An id that has others of its own is a
        user, and does not become another's; one that is another's passes on what is said of it.
        """
        owners: dict[str, str] = {}
        users: set[str] = set()
        said = sorted((ts, user, other) for (user, other), ts in self._first.items() if ts <= at)
        for _, user, other in said:
            owner = owners.get(user, user)
            users.add(owner)
            if other not in owners and other not in users:
                owners[other] = owner
        return owners
