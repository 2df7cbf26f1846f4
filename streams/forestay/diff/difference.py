"""What a comparison finds: the JSON of `forestay diff`, in the order of its fields (docs/replay.md)."""

from datetime import datetime

import msgspec


class Side(msgspec.Struct, frozen=True):
    """The sums of one side; `cost` is in the shop's currency."""

    decisions: int
    actions: int
    users: int
    users_acted_on: int
    cost: float


class Amount(msgspec.Struct, frozen=True):
    """Actions and what they cost."""

    actions: int
    cost: float


class Row(msgspec.Struct, frozen=True):
    """One kind, offer or segment on both sides."""

    name: str
    before: Amount
    after: Amount


class Count(msgspec.Struct, frozen=True):
    """One rule of the guardrails: how many offers it took away on both sides."""

    code: str
    before: int
    after: int


class Users(msgspec.Struct, frozen=True):
    """Users with a decision on either side, and those for whom something else is done on the other."""

    total: int
    changed: int
    share: float


class Decisions(msgspec.Struct, frozen=True):
    """Decisions by id: with the same offer, with another, and made on one side alone."""

    same: int
    changed: int
    only_before: int
    only_after: int


class Probabilities(msgspec.Struct, frozen=True):
    """Churn probabilities of decisions made on both sides; None where there are none."""

    changed: int
    mean_before: float | None
    mean_after: float | None
    largest_change: float


class Change(msgspec.Struct, frozen=True):
    """Decisions that go from one offer to another; None: nothing is done. `users` are their users."""

    before: str | None
    after: str | None
    decisions: int
    users: int


class Example(msgspec.Struct, frozen=True):
    """A decision that changes; what is missing was not decided on that side."""

    user_id: str
    decided_at: datetime
    trigger: str
    before: str | None
    after: str | None
    cost_before: float
    cost_after: float
    probability_before: float | None
    probability_after: float | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What changes from one side to the other; the JSON of `forestay diff` (docs/replay.md)."""

    version: int = 1
    before: Side
    after: Side
    users: Users
    decisions: Decisions
    #: (cost after - cost before) / cost before; None where nothing was spent before and something is after.
    spend_change: float | None
    kinds: list[Row]
    offers: list[Row]
    segments: dict[str, list[Row]]
    suppressed: list[Count]
    probabilities: Probabilities
    changes: list[Change]
    examples: list[Example]
