"""What every form of recording offers its reader."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from forestay.recording.digest import block_digest
from forestay.recording.errors import RecordingError
from forestay.recording.messages import RecordedMessage, from_columns
from forestay.recording.metadata import Block, RecordingMetadata, Seal, Span


class Recording(ABC):
    """Rows of Kafka topics in replay order; no row is handed out before its block was checked.

    It holds no file open between reads, and one block (some 32 MiB of payload) in memory during one.
    """

    def __init__(self, path: Path, metadata: RecordingMetadata, seal: Seal, digest: str) -> None:
        """Takes what opening the file found."""
        self.path = path
        self.metadata = metadata
        self.digest = digest
        self._seal = seal

    @property
    def spans(self) -> list[Span]:
        """Returns what there is of each partition, by topic and partition."""
        return self._seal.spans

    @property
    def blocks(self) -> list[Block]:
        """Returns the digests of the blocks in order."""
        return self._seal.blocks

    @property
    def last_timestamp(self) -> int:
        """Returns the latest timestamp of all rows, in epoch milliseconds; -1 where there is none."""
        return max((span.max_timestamp for span in self.spans), default=-1)

    def __len__(self) -> int:
        return self._seal.records

    def __iter__(self) -> Iterator[RecordedMessage]:
        return self.messages()

    def messages(self, start: int = 0, stop: int | None = None) -> Iterator[RecordedMessage]:
        """Yields the messages of rows `start` to `stop` (exclusive; None: to the end).

        Raises:
            RecordingError: the file was altered or cut off.
        """
        for batch in self.batches(start, stop):
            yield from from_columns(batch)

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yields the same rows as columns of `SCHEMA`, a block or a part of one at a time.

        Raises:
            RecordingError: the file was altered or cut off.
        """
        start, stop, _ = slice(start, stop).indices(len(self))
        if start >= stop:
            return
        first_row = 0
        wanted: list[tuple[int, int]] = []
        for number, block in enumerate(self._seal.blocks):
            if first_row < stop and first_row + block.records > start:
                wanted.append((number, first_row))
            first_row += block.records
        blocks = self._read_blocks(range(wanted[0][0], wanted[-1][0] + 1))
        for (number, first_row), batch in zip(wanted, blocks, strict=True):
            self._check(number, batch)
            begin = max(start - first_row, 0)
            yield batch.slice(begin, stop - first_row - begin)

    def _check(self, number: int, batch: pa.RecordBatch) -> None:
        if block_digest(batch) != self._seal.blocks[number].sha256:
            raise RecordingError(f"{self._place(number)} was altered since it was written: fetch the file anew")

    def _place(self, number: int) -> str:
        """Returns the name of a block for people."""
        return f"{self.path}: block {number}"

    @abstractmethod
    def _read_blocks(self, numbers: range) -> Iterator[pa.RecordBatch]:
        """Yields the blocks of these numbers, unchecked.

        Raises:
            RecordingError: the file cannot be read.
        """
