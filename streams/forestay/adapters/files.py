"""Records of a file, one after the other: CSV, JSON lines, JSON objects over several lines, a JSON array.

What a file is, its first character says. Memory is bounded by the largest record, a megabyte.
"""

import csv
import json
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from forestay.adapters.mapping import CsvForm
from forestay.adapters.records import decode_object
from forestay.core.decoding.decode import MAX_VALUE_BYTES
from forestay.core.errors import DeadLetter, ForestayError

_CHUNK: Final = 65_536
_BOM: Final = b"\xef\xbb\xbf"
_BETWEEN: Final = " \t\r\n\ufeff"
_DECODER: Final = json.JSONDecoder()


class Read(NamedTuple):
    """One record, or why there is none; `position` counts lines in CSV and JSON lines, else elements, from 1."""

    position: int
    record: dict[str, Any] | None
    problem: DeadLetter | None = None


def read_records(path: Path, form: CsvForm) -> Iterator[Read]:
    """Yields the records in `path`.

    Raises:
        OSError: it cannot be read.
        ForestayError: it is empty, or a CSV file without a usable header or in another encoding.
    """
    with path.open("rb") as file:
        start = file.read(_CHUNK).removeprefix(_BOM).lstrip()
        if not start:
            raise ForestayError(f"{path} holds nothing")
        file.seek(0)
        if start[:1] == b"[" or (start[:1] == b"{" and not _is_lines(start)):
            yield from _elements(file)
        elif start[:1] == b"{":
            yield from _lines(file)
        else:
            yield from _rows(path, file, form)


def _is_lines(start: bytes) -> bool:
    """Says whether the first line ends as an object does, or goes on beyond what can be seen."""
    line, end, _ = start.partition(b"\n")
    return not end or line.rstrip().endswith(b"}")


# -- JSON lines ------------------------------------------------------------------------------------------


def _lines(file: BinaryIO) -> Iterator[Read]:
    for number, line in _bounded_lines(file):
        if not line.strip():
            continue
        try:
            yield Read(number, decode_object(line.removeprefix(_BOM) if number == 1 else line))
        except DeadLetter as problem:
            yield Read(number, None, problem)


def _bounded_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yields lines with their numbers; of one that is too large, no more than shows that it is."""
    number = 0
    while line := file.readline(MAX_VALUE_BYTES + 2):
        number += 1
        cut = line
        while cut and not cut.endswith(b"\n"):
            cut = file.readline(_CHUNK)
        yield number, line


# -- JSON values one after the other ---------------------------------------------------------------------


def _elements(file: BinaryIO) -> Iterator[Read]:
    """Yields the objects of an array, or objects with space between them; what is broken ends it."""
    text = _Text(file)
    is_array = text.skip(_BETWEEN).startswith("[")
    if is_array:
        text.drop(1)
    for number in count(1):
        rest = text.skip(_BETWEEN + ",")
        if not rest or (is_array and rest.startswith("]")):
            return
        try:
            end = text.end_of_value()
        except DeadLetter as problem:
            yield Read(number, None, problem)
            return
        yield _element(number, text.drop(end))


class _Text:
    """The part of a file that has been read and not been used."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = getincrementaldecoder("utf-8")()
        self._rest = ""
        self._more = True

    def skip(self, characters: str) -> str:
        """Drops leading `characters`; returns what follows, empty at the end of the file."""
        while True:
            self._rest = self._rest.lstrip(characters)
            if self._rest or not self._more:
                return self._rest
            self._read()

    def drop(self, length: int) -> str:
        """Takes the first `length` characters away and returns them."""
        dropped, self._rest = self._rest[:length], self._rest[length:]
        return dropped

    def end_of_value(self) -> int:
        """Returns how many characters the JSON value takes that begins here.

        Raises:
            DeadLetter: there is none, or it takes more than a record may.
        """
        while True:
            with suppress(ValueError, RecursionError):
                end = _DECODER.raw_decode(self._rest)[1]
                # A number that ends where the text does may go on.
                if end < len(self._rest) or not self._more:
                    return end
            if len(self._rest) > MAX_VALUE_BYTES:
                raise DeadLetter("too_large", f"a value takes more than {MAX_VALUE_BYTES} bytes; the rest is unread")
            if not self._more:
                raise DeadLetter("not_json", "the file is not JSON from here on")
            self._read()

    def _read(self) -> None:
        # Doubling keeps the work linear: each attempt begins the value again.
        chunk = self._file.read(max(_CHUNK, len(self._rest)))
        self._more = bool(chunk)
        try:
            self._rest += self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise ForestayError("the file is not UTF-8, as JSON has to be: convert it") from error


def _element(number: int, text: str) -> Read:
    try:
        return Read(number, decode_object(text.encode()))
    except DeadLetter as problem:
        return Read(number, None, problem)


# -- CSV -------------------------------------------------------------------------------------------------


def _rows(path: Path, file: BinaryIO, form: CsvForm) -> Iterator[Read]:
    reader = csv.reader(_text_lines(file, form), delimiter=form.delimiter, strict=True)
    columns = list(form.columns) if form.columns is not None else _header(path, reader)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield Read(reader.line_num, None, DeadLetter("not_csv", f"the line is not CSV: {error}"))
            continue
        if row is None:
            return
        if not row:
            continue
        if len(row) > len(columns):
            told = f"the line has {len(row)} columns, the header {len(columns)}"
            yield Read(reader.line_num, None, DeadLetter("not_csv", told))
            continue
        # A line may end early, as many a tool writes empty columns.
        yield Read(reader.line_num, dict(zip(columns, row, strict=False)))


def _header(path: Path, reader: Any) -> list[str]:
    try:
        names = [name.strip() for name in next(reader)]
    except (csv.Error, StopIteration) as error:
        raise ForestayError(f"{path} has no header that can be read: {error}") from error
    if not all(names) or len(set(names)) != len(names):
        raise ForestayError(f"{path}: its first line is no header, for names are empty or repeated: {names[:20]}")
    return names


def _text_lines(file: BinaryIO, form: CsvForm) -> Iterator[str]:
    for number, line in _bounded_lines(file):
        bare = line.removeprefix(_BOM) if number == 1 else line
        try:
            yield bare.decode()
        except UnicodeDecodeError as error:
            if form.fallback_encoding is None:
                raise ForestayError(
                    f"line {number} is not UTF-8: convert the file, or let the mapping say"
                    " csv: {fallback_encoding: latin-1}"
                ) from error
            yield bare.decode(form.fallback_encoding)
