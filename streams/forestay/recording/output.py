"""Where a recorder writes: a folder of parts, or one file."""

import fcntl
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, NoReturn, Self

import pyarrow as pa

from forestay.recording.blocks import Cutter
from forestay.recording.errors import NoRoomError, RecordingError
from forestay.recording.files import open_recording
from forestay.recording.folder import Positions, end_of, find_parts, open_folder, part_name
from forestay.recording.messages import RecordedMessage
from forestay.recording.metadata import RecordingMetadata
from forestay.recording.part import UNFINISHED, PartWriter

_FILES: Final = frozenset({".parquet", ".jsonl"})

#: Returns the metadata of a part that begins at these positions.
Describe = Callable[[Positions], RecordingMetadata]


class Limits(NamedTuple):
    """When a part ends: with the block that brings it to so many bytes, or so many seconds after its first row."""

    size: int
    seconds: float


class Output(ABC):
    """Rows go in, whole files come out. `positions` is where the next row of each partition stands."""

    def __init__(self, path: Path, describe: Describe) -> None:
        """Opens nothing yet."""
        self.path = path
        self.positions: Positions = {}
        #: The files made, with their digests.
        self.sealed: dict[str, str] = {}
        self.bytes = 0
        self._describe = describe
        self._cutter = Cutter()
        self._part: PartWriter | None = None
        #: When the first row came that is not sealed (monotonic seconds).
        self._since: float | None = None

    @property
    def is_resumed(self) -> bool:
        """Says whether it goes on from what was recorded before."""
        return False

    @property
    def is_due(self) -> bool:
        """Says whether what there is has waited long enough to be sealed."""
        return False

    @abstractmethod
    def begin(self, positions: Positions) -> None:
        """Sets where partitions begin, or go on behind a gap."""

    def take(self, rows: Sequence[RecordedMessage]) -> None:
        """Takes the next rows, and writes the blocks they bring to their end.

        Raises:
            NoRoomError: there is no room; what was written before is sealed, what was not is forgotten.
            RecordingError: writing failed; the part under way is lost, all others are whole.
        """
        if rows and self._since is None:
            self._since = time.monotonic()
        for block in self._cutter.take(rows):
            self._write(block)
            if self._is_full():
                self._seal()

    def finish(self) -> None:
        """Seals all rows taken.

        Raises:
            RecordingError: as above.
        """
        for block in self._cutter.rest():
            self._write(block)
        if self._part is not None:
            self._seal()
        self._since = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()

    @abstractmethod
    def _next_path(self) -> Path:
        """Returns the path of the file to be written now."""

    def _is_full(self) -> bool:
        """Says whether the part under way is large enough."""
        return False

    @abstractmethod
    def _what_is_left(self) -> str:
        """Says what there is now and what to do, where there was no room for more."""

    def _write(self, block: pa.RecordBatch) -> None:
        part = self._part or self._open()
        try:
            part.write(block)
        except NoRoomError as error:
            if part.records:
                self._seal()
            raise NoRoomError(f"{error}. {self._what_is_left()}") from error
        except OSError as error:
            self._lose(error)

    def _open(self) -> PartWriter:
        try:
            self._part = PartWriter(self._next_path(), self._describe(self.positions))
        except OSError as error:
            self._lose(error)
        return self._part

    def _seal(self) -> None:
        part = self._part or self._open()
        self._since = time.monotonic()
        try:
            self.sealed[part.path.name] = part.seal()
        except OSError as error:
            self._lose(error)
        self.bytes += part.path.stat().st_size
        self.positions |= part.ends
        self._part = None

    def _abandon(self) -> None:
        if self._part is not None:
            self._part.abandon()
            self._part = None

    def _lose(self, error: OSError) -> NoReturn:
        """Gives up the part under way.

        Raises:
            RecordingError: what `error` says, and what is left.
        """
        self._abandon()
        raise RecordingError(f"{self.path}: cannot be written: {error.strerror}. {self._what_is_left()}") from error


class FileOutput(Output):
    """One file, from the first row to the last; it is not gone on with."""

    def __init__(self, path: Path, describe: Describe) -> None:
        """Opens nothing yet.

        Raises:
            RecordingError: the file is there already.
        """
        super().__init__(path, describe)
        if path.exists():
            raise RecordingError(f"{path}: is there already: name another, or a folder, which can be gone on with")

    def begin(self, positions: Positions) -> None:
        """Sets where partitions begin."""
        self.positions |= positions

    def finish(self) -> None:
        """Seals the file, be it without rows."""
        if self._part is None:
            self._open()
        super().finish()

    def _next_path(self) -> Path:
        return self.path

    def _what_is_left(self) -> str:
        if self.sealed:
            return "It is whole, and holds what was recorded before: record the rest elsewhere with --from"
        return "There is no recording: make room, or record fewer rows"


class FolderOutput(Output):
    """A folder of parts, by one recorder at a time.

    The first part has no rows: it says where each partition begins before the first row is read, so that a recorder
    killed at any moment goes on without gap or repeat.
    """

    def __init__(self, path: Path, form: str, limits: Limits, describe: Describe) -> None:
        """Takes the form of new parts, `parquet` or `jsonl`; opens nothing yet."""
        super().__init__(path, describe)
        self._form = form
        self._limits = limits
        self._lock = -1
        self._number = 0

    @property
    def is_resumed(self) -> bool:
        """Says whether there were parts before."""
        return self._number > len(self.sealed)

    @property
    def is_due(self) -> bool:
        """Says whether the first row that is not sealed is old enough."""
        return self._since is not None and time.monotonic() >= self._since + self._limits.seconds

    def __enter__(self) -> Self:
        """Takes the folder; finds where to go on.

        Raises:
            RecordingError: another recorder is at work in it, or a part is damaged.
            OSError: the folder cannot be made.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            self._resume()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._release()

    def begin(self, positions: Positions) -> None:
        """Sets where partitions begin, or go on behind a gap; the part under way is sealed."""
        self.finish()
        self.positions |= positions
        if self._number == 0:
            self._seal()

    def _is_full(self) -> bool:
        return self._part is not None and self._part.size >= self._limits.size

    def _resume(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecordingError(f"{self.path}: another recorder is at work in this folder") from error
        # What a recorder that was killed left: Kafka still has these rows, and they are fetched again.
        for unfinished in self.path.glob(f".part-*{UNFINISHED}"):
            unfinished.unlink()
        parts = find_parts(self.path)
        if parts:
            self._number = max(parts) + 1
            # All of them, by their headers and seals: behind one that is damaged, what is recorded could not be read.
            self.positions = end_of(open_folder(self.path, open_recording).parts[-1])

    def _release(self) -> None:
        os.close(self._lock)

    def _next_path(self) -> Path:
        return self.path / part_name(self._number, self._form)

    def _seal(self) -> None:
        super()._seal()
        self._number += 1

    def _what_is_left(self) -> str:
        return "The parts in it are whole: make room and run the same command again, it goes on where they end"
