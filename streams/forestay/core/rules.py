"""What the shop sets for the core: when to score, how old a score may be, how many failures are too many."""

from typing import NamedTuple

from forestay.core.event import EVENT_NAMES
from forestay.core.units import DAY, HOUR


class Rules(NamedTuple):
    """Times in milliseconds; `score_on` holds event codes, `currency` the one ISO 4217 code accepted, or None."""

    score_on: frozenset[int] = frozenset(range(len(EVENT_NAMES)))
    score_interval: int = HOUR
    score_max_age: int = 7 * DAY
    currency: str | None = None
    dead_letter_limit: float = 0.5
