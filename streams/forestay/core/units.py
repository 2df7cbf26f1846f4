"""Units of time and money: integer milliseconds since the epoch, integer hundredths of the currency."""

from datetime import UTC, datetime, timedelta
from typing import Final

from forestay_schemas.types import EPOCH

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

#: Sums saturate here: two of them can be added in a word of 64 bits, and absurd prices make no larger record.
MAX_AMOUNT: Final = 2**62 - 1

_MILLISECOND: Final[timedelta] = timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """Returns milliseconds since the epoch, exact (a float timestamp would round)."""
    return (moment - EPOCH) // _MILLISECOND


def to_datetime(milliseconds: int) -> datetime:
    """Returns the UTC moment of milliseconds since the epoch."""
    return EPOCH.astimezone(UTC) + timedelta(milliseconds=milliseconds)


def to_minor_units(price: float) -> int:
    """Returns `price` in hundredths of the currency."""
    return round(price * 100)
