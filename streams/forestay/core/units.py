"""Units of time and money: integer milliseconds since the epoch, integer hundredths of the currency."""

from datetime import UTC, datetime, timedelta

from forestay_schemas.types import EPOCH

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(moment: datetime) -> int:
    """Returns milliseconds since the epoch, exact (a float timestamp would round)."""
    return (moment - EPOCH) // _MILLISECOND


def to_datetime(milliseconds: int) -> datetime:
    """Returns the UTC moment of milliseconds since the epoch."""
    return EPOCH.astimezone(UTC) + timedelta(milliseconds=milliseconds)


def to_minor_units(price: float, quantity: int) -> int:
    """Returns `price * quantity` in hundredths of the currency, the unit price rounded first."""
    return round(price * 100) * quantity
