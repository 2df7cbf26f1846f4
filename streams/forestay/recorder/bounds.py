"""From where and to where a topic is recorded, as a person writes it."""

from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from forestay.core.errors import UsageError
from forestay.core.units import to_milliseconds


class Kind(Enum):
    """What a bound names."""

    #: The oldest record there is.
    EARLIEST = "earliest"
    #: The end as it is at the start.
    NOW = "now"
    OFFSET = "offset"
    TIME = "time"
    NEVER = "never"


class Bound(NamedTuple):
    """Where to begin, or (exclusive) to end; `at` is an offset, or a timestamp in epoch milliseconds."""

    kind: Kind
    at: int = 0


_STARTS = {"earliest": Bound(Kind.EARLIEST), "latest": Bound(Kind.NOW)}
_ENDS = {"now": Bound(Kind.NOW)}


def parse_start(text: str) -> Bound:
    """Returns the bound `text` names: earliest, latest, an offset or a time.

    Raises:
        UsageError: it names none.
    """
    return _STARTS.get(text) or _parse(text, "--from", "earliest, latest")


def parse_end(text: str) -> Bound:
    """Returns the bound `text` names: now, an offset or a time.

    Raises:
        UsageError: it names none.
    """
    return _ENDS.get(text) or _parse(text, "--until", "now")


def _parse(text: str, option: str, words: str) -> Bound:
    if text.isascii() and text.isdigit():
        return Bound(Kind.OFFSET, min(int(text), 2**63 - 1))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text}: write {words}, an offset, or a time such as 2026-11-01T06:00:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Bound(Kind.TIME, max(to_milliseconds(moment), 0))
