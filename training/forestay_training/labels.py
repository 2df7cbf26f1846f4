"""Who churned: the customer's orders as they happened, apart from everything the model is given."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from forestay.core.decoding.decode import decode_click
from forestay.core.errors import DeadLetter
from forestay.core.event import PURCHASE
from forestay.core.rules import Rules
from forestay.recording import RecordedMessage
from forestay_training.splits import HORIZON, OBSERVED

#: Labels are made from what the contract lets through; no other rule plays a part.
_RULES: Final = Rules()


class Orders:
    """The moments of every customer's orders, in milliseconds, each once."""

    def __init__(self, messages: Iterable[RecordedMessage]) -> None:
        """Reads all purchases among `messages`; records that break their contract are left out, as they are live."""
        moments: dict[str, set[int]] = defaultdict(set)
        for message in messages:
            try:
                event = decode_click(message, _RULES)
            except DeadLetter:
                continue
            if event.kind == PURCHASE:
                moments[event.user_id].add(event.ts)
        self._moments = {user: sorted(times) for user, times in moments.items()}

    @property
    def users(self) -> list[str]:
        """Returns the customers with an order, sorted."""
        return sorted(self._moments)

    def before(self, user: str, now: int) -> list[int]:
        """Returns the orders of `user` up to and including `now`."""
        moments = self._moments.get(user, [])
        return moments[: bisect_right(moments, now)]

    def active(self, user: str, now: int) -> bool:
        """Says whether `user` ordered in the `OBSERVED` milliseconds up to `now`."""
        past = self.before(user, now)
        return bool(past) and past[-1] >= now - OBSERVED

    def churned(self, user: str, now: int) -> bool:
        """Says whether `user` placed no order after `now` and within `HORIZON`."""
        moments = self._moments.get(user, [])
        following = bisect_right(moments, now)
        return following == len(moments) or moments[following] >= now + HORIZON
