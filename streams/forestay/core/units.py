"""Units of time and money: integer milliseconds since the epoch, integer hundredths of the currency."""

from datetime import UTC, datetime, timedelta
from typing import Final

from forestay_schemas.types import EPOCH

SECOND: Final[int] = 1_000
MINUTE: Final[int] = 60 * SECOND
HOUR: Final[int] = 60 * MINUTE
DAY: Final[int] = 24 * HOUR

#: Sums saturate here, so that no stream of absurd prices can make a record that 64 bits cannot hold.
MAX_AMOUNT: Final[int] = 2**62

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
