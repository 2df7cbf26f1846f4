"""The JSONL form, for fixtures a person reads: a header line, a line a message, a closing line."""

from collections.abc import Callable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa

from forestay.recording.blocks import Sealer, cut_blocks
from forestay.recording.errors import RecordingError
from forestay.recording.jsonl_line import decode_line, encode_line
from forestay.recording.messages import RecordedMessage, from_columns
from forestay.recording.metadata import Header, RecordingMetadata, canonical, content_digest, read_header
from forestay.recording.recording import Recording

MAGIC: Final = b"{"
#: More than a closing line takes.
_END_BYTES: Final = 256


class _End(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The closing line; who edits a fixture by hand leaves the digest out."""

    records: int
    digest: str | None = None


class JsonlRecording(Recording):
    """A recording in a JSONL file."""

    def _read_blocks(self, numbers: range) -> Iterator[pa.RecordBatch]:
        yield from islice(cut_blocks(_Lines(self.path).messages()), numbers.start, numbers.stop)


def open_jsonl(path: Path) -> JsonlRecording:
    """Opens the recording at `path`: reads all of it once, to check it.

    Raises:
        RecordingError: it is none, is cut off, or was altered.
    """
    lines, sealer = _Lines(path), Sealer()
    try:
        for block in cut_blocks(lines.messages()):
            sealer.add(block)
        metadata = read_header(lines.header).metadata
        end = _read_end(lines.end)
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    seal = sealer.seal()
    digest = content_digest(lines.header, canonical(seal))
    if end.records != seal.records:
        raise RecordingError(f"{path}: holds {seal.records} messages, its closing line says {end.records}")
    if end.digest not in (None, digest):
        raise RecordingError(
            f"{path}: was altered since it was written. Where that was meant, take the digest out of the last line"
        )
    return JsonlRecording(path, metadata, seal, digest)


class JsonlWriter:
    """Writes a recording to an open file, block by block; the same blocks and metadata give the same bytes."""

    def __init__(self, file: BinaryIO, metadata: RecordingMetadata) -> None:
        """Writes the header."""
        self._file = file
        self._header = canonical(Header.of(metadata))
        self._sealer = Sealer()
        file.write(self._header + b"\n")

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        """Returns the offset after the last row of each partition that has rows."""
        return self._sealer.ends

    def write(self, block: pa.RecordBatch, reserve: Callable[[int], None]) -> None:
        """Writes the next block, once `reserve` has found room for so many bytes: the block and the end after it.

        Raises:
            RecordingError: offsets of a partition do not rise.
        """
        lines = b"".join(encode_line(message) + b"\n" for message in from_columns(block))
        reserve(len(lines) + _END_BYTES)
        self._sealer.add(block)
        self._file.write(lines)

    def close(self) -> str:
        """Writes the closing line, and returns the digest."""
        seal = self._sealer.seal()
        digest = content_digest(self._header, canonical(seal))
        self._file.write(msgspec.json.encode(_End(seal.records, digest)) + b"\n")
        return digest

    def abandon(self) -> None:
        """Gives up: there is nothing to do."""


class _Lines:
    """The lines of a file: `header` and `end` are known once all messages were read. Blank lines are passed."""

    def __init__(self, path: Path) -> None:
        self.header = self.end = b""
        self._path = path

    def messages(self) -> Iterator[RecordedMessage]:
        """Yields the message of every line between the first and the last."""
        try:
            with self._path.open("rb") as file:
                yield from self._between(enumerate(map(bytes.strip, file), start=1))
        except OSError as error:
            raise RecordingError(f"cannot be read: {error.strerror}") from error

    def _between(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[RecordedMessage]:
        held = 0
        for number, line in filter(itemgetter(1), lines):
            if not self.header:
                self.header = line
                continue
            if self.end:
                yield _message(held, self.end)
            held, self.end = number, line


def _message(number: int, line: bytes) -> RecordedMessage:
    try:
        return decode_line(line)
    except RecordingError as error:
        raise RecordingError(f"line {number} {error}") from error


def _read_end(line: bytes) -> _End:
    try:
        return msgspec.json.decode(line, type=_End)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(
            "the closing line, which counts the records, is missing: the file was cut off"
        ) from error
