"""Which rows are replayed, and how they are handed on."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from forestay.core.errors import UsageError
from forestay.core.units import to_milliseconds
from forestay.recording import RecordedMessage
from forestay.replay.order import Recorded, counted

#: A piece ends with the row that reaches either bound: rows, or bytes of keys and values. Enough for few, large
#: requests; little enough for the order over all topics to be kept within a fraction of a second.
PIECE_ROWS: Final = 8_192
PIECE_BYTES: Final = 2 * 2**20


class Extent(NamedTuple):
    """From row `first` to row `stop`, from the first row that has reached `since` to the first at or after `until`.

    Rows are counted from 0 in the recorded order, whatever their topic. Times are of the records, in epoch
    milliseconds. `stop` and `until` are exclusive, None: to the end. At most `limit` rows are sent.
    """

    first: int = 0
    stop: int | None = None
    since: int | None = None
    until: int | None = None
    limit: int | None = None


class Piece(NamedTuple):
    """Rows to be sent, with their numbers, which rise."""

    numbers: list[int]
    messages: list[RecordedMessage]


def parse_extent(start: str | None, until: str | None, limit: int | None) -> Extent:
    """Returns the extent a person named: each bound a row or a time.

    Raises:
        UsageError: a bound is neither.
    """
    first, since = _parse(start, "--from") if start is not None else (0, None)
    stop, end = _parse(until, "--until") if until is not None else (None, None)
    return Extent(first or 0, stop, since, end, limit)


def total(recorded: Recorded, extent: Extent, topics: Collection[str]) -> int | None:
    """Returns how many rows will be sent; None where only reading them tells."""
    whole = extent.first == 0 and extent.stop is None
    if extent.since is not None or extent.until is not None or not (whole or recorded.counts.keys() <= set(topics)):
        return None
    rows = counted(recorded, topics) if whole else len(range(len(recorded))[extent.first : extent.stop])
    return rows if extent.limit is None else min(rows, extent.limit)


def pieces(recorded: Recorded, extent: Extent, topics: Collection[str]) -> Iterator[Piece]:
    """Yields the rows of `topics` within `extent`.

    Raises:
        RecordingError: a file was altered or cut off.
    """
    piece, size, left = Piece([], []), 0, extent.limit
    for number, message in _within(recorded, extent):
        if left == 0:
            break
        if message.topic not in topics:
            continue
        left = None if left is None else left - 1
        piece.numbers.append(number)
        piece.messages.append(message)
        size += len(message.key or b"") + len(message.value or b"")
        if len(piece.numbers) >= PIECE_ROWS or size >= PIECE_BYTES:
            yield piece
            piece, size = Piece([], []), 0
    if piece.numbers:
        yield piece


def _within(recorded: Recorded, extent: Extent) -> Iterator[tuple[int, RecordedMessage]]:
    begun, latest = extent.since is None, -1
    for number, message in enumerate(recorded.messages(extent.first), extent.first):
        if extent.stop is not None and number >= extent.stop:
            return
        latest = max(latest, message.timestamp)
        if extent.until is not None and latest >= extent.until:
            return
        begun = begun or latest >= (extent.since or 0)
        if begun:
            yield number, message


def _parse(text: str, option: str) -> tuple[int | None, int | None]:
    """Returns a row's number or a time in epoch milliseconds."""
    if text.isascii() and text.isdigit():
        return int(text), None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text}: write a row, counted from 0, or a time such as 2026-11-01T06:00:00Z"
        ) from None
    return None, to_milliseconds(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
