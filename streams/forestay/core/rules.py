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
    unpacked in memory. With `deduplicate` off, producers are trusted to send each event once.
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
    features: FeatureSet = DEFAULT_FEATURES
    feature_stream: FeatureStream = FeatureStream()
    patterns: PatternRules = PatternRules([])
