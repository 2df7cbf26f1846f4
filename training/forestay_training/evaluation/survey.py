"""A first pass over files of events: who ordered when, and from when to when there are events at all."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from forestay.core.errors import ForestayError
from forestay.core.event import NEVER, PURCHASE
from forestay.history.links import Links
from forestay.history.point_in_time import STEP, Tell
from forestay.history.reading import EventFile, Problems


class Survey:
    """The orders of every user, in milliseconds, each moment once; ids that became another's count as that one's.

    `oldest` and `newest` are the moments of the first and the last event of any kind.
    """

    def __init__(self, files: Sequence[EventFile], known_until: int | None, tell: Tell) -> None:
        """Reads `files`, without what is after `known_until`.

        Raises:
            OSError: a file cannot be read.
            ForestayError: a file is damaged, or there is no order in any.
        """
        self.oldest = self.newest = NEVER
        found: dict[str, set[int]] = {}
        links = Links()
        problems = Problems()
        for file in files:
            for row in file.read():
                if row.position % STEP == 0:
                    tell(f"looking through {file.path.name}", row.position, file.rows)
                event = row.event
                if event is None:
                    problems.add(file.path, row)
                    continue
                if known_until is not None and event.ts > known_until:
                    continue
                self.newest = max(self.newest, event.ts)
                self.oldest = event.ts if self.oldest == NEVER else min(self.oldest, event.ts)
                links.add(event)
                if event.kind == PURCHASE:
                    found.setdefault(event.user_id, set()).add(event.ts)
        if not found:
            what = "no event is left" if self.newest == NEVER else "there is no purchase among the events"
            raise ForestayError(f"{what}: who has left is told by orders, and there are none{problems.told()}")
        self._orders = _merged(found, links)

    def before(self, user: str, now: int) -> list[int]:
        """Returns the orders of `user` up to and including `now`."""
        orders = self._orders.get(user, [])
        return orders[: bisect_right(orders, now)]

    def histories(self, now: int) -> Iterator[list[int]]:
        """Yields each customer's orders up to `now`, of those who have one."""
        for orders in self._orders.values():
            until = bisect_right(orders, now)
            if until:
                yield orders[:until]

    def active(self, now: int, observed: int) -> int:
        """Returns how many customers ordered in the `observed` milliseconds up to `now`."""
        return sum(
            bisect_right(orders, now) > bisect_left(orders, now - observed) for orders in self._orders.values()
        )


def _merged(found: dict[str, set[int]], links: Links) -> dict[str, list[int]]:
    for other, owned in links.owned().items():
        if other in found:
            found.setdefault(owned.owner, set()).update(found.pop(other))
    return {user: sorted(moments) for user, moments in found.items()}
