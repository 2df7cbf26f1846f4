"""Events from files: recordings, and Parquet, CSV, JSON lines and JSON arrays of click events.

What a file is, its content says. One block, row group or record is in memory at a time.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from forestay.adapters.files import read_records
from forestay.adapters.mapping import CsvForm
from forestay.core.decoding.decode import MAX_VALUE_BYTES, decode_click, event_of
from forestay.core.errors import DeadLetter, ForestayError
from forestay.core.event import Event
from forestay.core.rules import Rules
from forestay.history.rows import value_of_cells, value_of_row
from forestay.recording import Recording, RecordingError, open_recording
from forestay.recording.metadata import FORMAT
from forestay.recording.parquet_form import HEADER_KEY, MAGIC

_REQUIRED: Final = ("event_id", "user_id", "event", "ts")
#: Rows of a Parquet file turned into Python objects at once.
_ROWS: Final = 4_096
#: Different reasons that are told; a file may be broken in any number of ways.
_REASONS: Final = 20
_START: Final = 65_536
_NUMBER: Final = re.compile("[0-9]+")


class Row(NamedTuple):
    """One row or record: the event and its value, or why there is none.

    `position` counts lines of CSV and JSON lines, else rows or elements, from 1.
    """

    position: int
    value: bytes = b""
    event: Event | None = None
    problem: DeadLetter | None = None


class Problems:
    """What could not be read: how many rows, and for each reason how many and the first.

    Reasons that differ by their numbers alone (which item, which column) are one.
    """

    def __init__(self) -> None:
        """Starts with none."""
        self.total = 0
        self.counts: Counter[str] = Counter()
        #: By reason without its numbers: the first row's place, and its reason.
        self.first: dict[str, tuple[str, str]] = {}

    def add(self, path: Path, row: Row) -> None:
        """Takes a row of `path` that is no event."""
        self.total += 1
        reason = "no event" if row.problem is None else f"{row.problem.code}: {row.problem}"
        kind = _NUMBER.sub("N", reason)
        if kind not in self.counts and len(self.counts) >= _REASONS:
            kind = reason = "other reasons"
        self.counts[kind] += 1
        self.first.setdefault(kind, (f"{row.position} of {path.name}", reason))

    def lines(self) -> Iterator[str]:
        """Yields a line a reason, the most frequent first."""
        for kind, count in self.counts.most_common():
            where, reason = self.first[kind]
            yield f"{count:,} left out, the first is row {where}: {reason}"

    def told(self) -> str:
        """Returns the most frequent reason as the end of a sentence, empty where all could be read."""
        return "".join(f" ({line})" for line in islice(self.lines(), 1))


class EventFile:
    """A file of events. `rows` is how many rows it has, None where only reading it tells."""

    def __init__(self, path: Path, rules: Rules, topic: str) -> None:
        """`topic` is the clickstream's name, for recordings of several topics.

        Raises:
            OSError: it cannot be read.
            ForestayError: it is no file of events.
        """
        self.path = path
        self.rows: int | None = None
        self._rules = rules
        self._recording: Recording | None = None
        self._is_table = False
        self._csv = False
        self._topic = topic
        self._look()

    def _look(self) -> None:
        if self.path.is_dir():
            self._take_recording()
            return
        with self.path.open("rb") as file:
            start = file.read(_START)
        if start.startswith(MAGIC):
            self._look_at_parquet()
        elif _is_recording(start):
            self._take_recording()
        else:
            self._csv = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"[", b"")

    def _look_at_parquet(self) -> None:
        try:
            with pq.ParquetFile(self.path) as file:
                if HEADER_KEY not in (file.metadata.metadata or {}):
                    self._is_table = True
                    self.rows = file.metadata.num_rows
                    _check_columns(self.path, file.schema_arrow.names)
                    return
        except (pa.ArrowException, OSError) as error:
            raise ForestayError(f"{self.path}: no Parquet file that can be read: {error}") from error
        self._take_recording()

    def _take_recording(self) -> None:
        recording = open_recording(self.path)
        topics = {span.topic for span in recording.spans}
        if self._topic not in topics and len(topics) > 1:
            raise RecordingError(
                f"{self.path} holds {', '.join(sorted(topics))}, and none is the clickstream: name it with"
                " --set topics.clickstream=NAME"
            )
        if self._topic not in topics:
            self._topic = next(iter(topics), self._topic)
        self._recording = recording
        self.rows = len(recording)

    def read(self) -> Iterator[Row]:
        """Yields every row that is to be an event, in the order of the file.

        Raises:
            OSError: it cannot be read.
            ForestayError: it is damaged, or no file of events after all.
        """
        if self._recording is not None:
            return self._recorded(self._recording)
        return self._of_parquet() if self._is_table else self._of_text()

    def _recorded(self, recording: Recording) -> Iterator[Row]:
        for position, message in enumerate(recording, start=1):
            if message.topic != self._topic:
                continue
            try:
                yield Row(position, message.value or b"", decode_click(message, self._rules))
            except DeadLetter as problem:
                yield Row(position, problem=problem)

    def _of_parquet(self) -> Iterator[Row]:
        position = 0
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(_ROWS):
                    for row in _with_milliseconds(batch).to_pylist():
                        position += 1
                        yield self._row(position, value_of_row(row))
        except (pa.ArrowException, OSError) as error:
            raise ForestayError(f"{self.path}: cannot be read, it is cut off or damaged: {error}") from error

    def _of_text(self) -> Iterator[Row]:
        first = True
        for read in read_records(self.path, CsvForm()):
            if self._csv and first and read.record is not None:
                _check_columns(self.path, list(read.record))
                first = False
            if read.record is None:
                yield Row(read.position, problem=read.problem)
                continue
            value = value_of_cells(read.record) if self._csv else msgspec.json.encode(read.record)
            yield self._row(read.position, value)

    def _row(self, position: int, value: bytes) -> Row:
        try:
            return Row(position, value, self._event(value))
        except DeadLetter as problem:
            return Row(position, problem=problem)

    def _event(self, value: bytes) -> Event:
        if len(value) > MAX_VALUE_BYTES:
            raise DeadLetter("too_large", f"the event takes more than {MAX_VALUE_BYTES} bytes")
        event = event_of(value, None)
        wanted = self._rules.currency
        if wanted is not None and event.currency is not None and event.currency != wanted:
            raise DeadLetter("other_currency", f"currency is {event.currency}, the shop's is {wanted}")
        return event


def _is_recording(start: bytes) -> bool:
    try:
        header = msgspec.json.decode(start.partition(b"\n")[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(header, dict) and header.get("format") == FORMAT


def _check_columns(path: Path, names: list[str]) -> None:
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise ForestayError(
            f"{path} has no column {', '.join(missing)}: columns are named as the click event's fields;"
            " `forestay adapt` converts foreign events"
        )


def _with_milliseconds(batch: Any) -> Any:
    """Returns the batch with times of nanoseconds cut to milliseconds, as event time is."""
    at = batch.schema.get_field_index("ts")
    column = batch.column(at)
    if not pa.types.is_timestamp(column.type):
        return batch
    return batch.set_column(at, "ts", column.cast(pa.timestamp("ms", column.type.tz), safe=False))
