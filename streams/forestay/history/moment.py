"""A moment as a person writes it."""

import re
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter, ValidationError

from forestay.core.errors import UsageError
from forestay.core.units import to_milliseconds
from forestay_schemas.types import Timestamp

_TIMESTAMP: Final[TypeAdapter[datetime]] = TypeAdapter(Timestamp)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def parse_moment(text: str) -> int:
    """Returns the moment in milliseconds since the epoch: of RFC 3339, of that number, or of a date's first instant.

    Raises:
        UsageError: it is none of these.
    """
    value: str | int = f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text
    try:
        return to_milliseconds(_TIMESTAMP.validate_python(int(text) if re.fullmatch("[0-9]{1,15}", text) else value))
    except ValidationError as error:
        raise UsageError(
            f"{text} is no moment: write 2026-01-31T12:00:00Z, 2026-01-31 (its first instant, in UTC) or epoch"
            " milliseconds"
        ) from error
