"""Writes one file of a recording, which appears whole or not at all."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import pyarrow as pa

from forestay.recording.errors import NoRoomError, RecordingError
from forestay.recording.folder import Positions
from forestay.recording.jsonl_form import JsonlWriter
from forestay.recording.metadata import RecordingMetadata
from forestay.recording.parquet_form import ParquetWriter

#: zstd levels: the default keeps up with a live topic; 19 is for what is shipped (a third
#: smaller, and 40 times slower: 115 µs a record).
FAST: Final = 3
SMALL: Final = 19

UNFINISHED: Final = ".unfinished"
#: The disk is full, a quota is, or the file would be larger than the process may make one.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class PartWriter:
    """A file under way, under another name; leaving the context before `seal` removes it.

    Room for a block and for the file's end is taken before a byte of the block is written: where it is not to be had,
    the file can still be sealed with what it holds.
    """

    def __init__(self, path: Path, metadata: RecordingMetadata, *, zstd_level: int = FAST) -> None:
        """Opens the file, of the form its name says.

        Raises:
            RecordingError: the name is not that of a recording.
            OSError: it cannot be opened.
        """
        if path.suffix not in {".parquet", ".jsonl"}:
            raise RecordingError(f"{path}: a recording is called .parquet or .jsonl")
        self.path = path
        self.records = 0
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
        self._file = self._unfinished.open("wb")
        self._form = (
            ParquetWriter(self._file, metadata, zstd_level)
            if path.suffix == ".parquet"
            else JsonlWriter(self._file, metadata)
        )

    @property
    def size(self) -> int:
        """Returns how many bytes were written."""
        return self._file.tell()

    @property
    def ends(self) -> Positions:
        """Returns the offset after the last row of each partition that has rows."""
        return self._form.ends

    def write(self, block: pa.RecordBatch) -> None:
        """Writes the next block.

        Raises:
            NoRoomError: there is no room for it, and nothing was written.
            RecordingError: offsets of a partition do not rise.
            OSError: writing failed half-way; the file is lost.
        """
        self._form.write(block, self._reserve)
        self.records += block.num_rows

    def seal(self) -> str:
        """Writes the end, makes the file durable under its name, and returns its digest.

        Raises:
            OSError: it cannot be written; the file is lost.
        """
        digest = self._form.close()
        # What was reserved and not needed goes back.
        self._file.truncate()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unfinished.replace(self.path)
        _make_durable(self.path.parent)
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Removes the file, unless it is sealed."""
        if not self._file.closed:
            self._form.abandon()
            self._unfinished.unlink(missing_ok=True)
            _close(self._file)

    def _reserve(self, size: int) -> None:
        self._file.flush()
        # Not there on macOS; and not every file system can promise room: then a write says that there is none.
        if not hasattr(os, "posix_fallocate"):
            return
        try:
            os.posix_fallocate(self._file.fileno(), self._file.tell(), size)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise NoRoomError(f"{self.path}: {error.strerror}") from error


def _close(file: BinaryIO) -> None:
    """Closes a file that is lost: what its buffer still holds may not find room, and need not."""
    with suppress(OSError):
        file.close()


def _make_durable(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
