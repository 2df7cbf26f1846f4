"""What the shop sets for the core: when to score, how late an event may be, which features to keep."""

from typing import NamedTuple

from forestay.core.event import EVENT_NAMES
from forestay.core.feature_set import DEFAULT_FEATURES, FeatureSet
from forestay.core.feature_stream import FeatureStream
from forestay.core.patterns.patterns import PatternRules
from forestay.core.units import DAY, HOUR


class Rules(NamedTuple):
    """Times in milliseconds; `score_on` holds event codes, `currency` the one ISO 4217 code accepted, or None.

    `idle` is the silence after which a user is forgotten; `live_users` how many users of a partition stay
    unpacked in memory. `reward_horizon` is how long the outcome of a decision is waited for, 0 if it is not. With
    `deduplicate` off, producers are trusted to send each event once. `budget_interval` is how often partitions tell
    each other of budgets, 0 if they give nothing away.
    """

    score_on: frozenset[int] = frozenset(range(len(EVENT_NAMES)))
    score_interval: int = HOUR
    score_max_age: int = 7 * DAY
    currency: str | None = None
    dead_letter_limit: float = 0.5
    lateness: int = 3 * DAY
    idle: int = 730 * DAY
    live_users: int = 20_000
    deduplicate: bool = True
    merge_identities: bool = True
    reward_horizon: int = 28 * DAY
    features: FeatureSet = DEFAULT_FEATURES
    feature_stream: FeatureStream = FeatureStream()
    patterns: PatternRules = PatternRules([])
    budget_interval: int = 0

    @property
    def reward_wait(self) -> int:
        """Returns when a decision's outcome is closed, after it: what came in time may be told later. 0: never."""
        return self.reward_horizon + self.lateness if self.reward_horizon else 0
