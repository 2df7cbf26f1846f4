"""Foreign values to those of a click event: texts, numbers and moments; each says what it cannot read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

from forestay.adapters.errors import ConversionError
from forestay_schemas.types import EPOCH, MAX_EPOCH_MILLISECONDS

#: Digits after which a number is none a shop means: Decimal would take a megabyte of them.
_MAX_DIGITS: Final = 100
_MAX_BITS: Final = 300
#: Milliseconds in one unit of each way to count from the epoch.
EPOCH_UNITS: Final = {
    "seconds": Decimal(1000),
    "milliseconds": Decimal(1),
    "microseconds": Decimal("0.001"),
}
RFC3339: Final = "rfc3339"


class NumberForm(NamedTuple):
    """How a number is written: with a decimal comma; its sign means nothing; so many make one unit."""

    decimal_comma: bool = False
    absolute: bool = False
    divide_by: Decimal = Decimal(1)


def to_text(value: Any) -> str:
    """Returns a text without spaces around it, or a number as JSON writes it (12.0 as 12).

    Raises:
        ConversionError: it is an object, a list or a truth value.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        # Beyond 4,300 digits Python itself refuses; no id is a tenth as long.
        if value.bit_length() > _MAX_BITS:
            raise ConversionError("is a number too large for a text")
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    raise ConversionError(f"is {_kind(value)}, not a text or number")


def without_zero_fraction(text: str) -> str:
    """Returns `12` for `12.0`, as spreadsheets write whole numbers beside empty cells; other texts as they are."""
    whole, dot, fraction = text.partition(".")
    return whole if dot and whole.isdecimal() and not fraction.strip("0") else text


def to_number(value: Any, form: NumberForm) -> Decimal:
    """Returns a finite number, exact as it was written.

    Raises:
        ConversionError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConversionError(f"is {_kind(value)}, not a number")
    written = str(value).strip() if not isinstance(value, int) else to_text(value)
    if form.decimal_comma and isinstance(value, str):
        written = written.replace(".", "").replace(",", ".")
    try:
        number = Decimal(written) if len(written) <= _MAX_DIGITS and "_" not in written else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        raise ConversionError("is not a number")
    number /= form.divide_by
    return abs(number) if form.absolute else number


def to_whole_number(value: Any, form: NumberForm) -> int:
    """Returns a whole number; 2.0 is one.

    Raises:
        ConversionError: it is none.
    """
    number = to_number(value, form)
    if number != number.to_integral_value():
        raise ConversionError("is not a whole number")
    return int(number)


def to_moment(value: Any, modes: Sequence[str], zone: tzinfo | None) -> datetime:
    """Returns the moment `value` names in one of `modes`, the first that reads it; in UTC.

    A mode is `rfc3339`, `seconds`, `milliseconds` or `microseconds` since the epoch, or a pattern of strptime.
    `zone` is where a time without an offset was written down.

    Raises:
        ConversionError: no mode reads it.
    """
    for mode in modes:
        try:
            moment = _read_moment(value, mode, zone)
        except (ConversionError, ValueError, OverflowError):
            continue
        if moment is not None:
            return moment
    raise ConversionError(f"is not a time written as {' or '.join(modes)}")


def _read_moment(value: Any, mode: str, zone: tzinfo | None) -> datetime | None:
    unit = EPOCH_UNITS.get(mode)
    if unit is not None:
        milliseconds = int(to_number(value, NumberForm()) * unit)
        if not 0 <= milliseconds <= MAX_EPOCH_MILLISECONDS:
            return None
        return EPOCH + timedelta(milliseconds=milliseconds)
    if not isinstance(value, str):
        return None
    written = value.strip()
    # A bare date is no moment, though fromisoformat takes it for midnight.
    if mode == RFC3339 and not ("-" in written and ":" in written):
        return None
    moment = datetime.fromisoformat(written) if mode == RFC3339 else datetime.strptime(written, mode)  # noqa: DTZ007
    if moment.tzinfo is None:
        if zone is None:
            return None
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), "something else")
