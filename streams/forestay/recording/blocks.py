"""How rows are cut into blocks, and how blocks are sealed."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from forestay.recording.digest import block_digest
from forestay.recording.errors import RecordingError
from forestay.recording.messages import RecordedMessage, to_columns
from forestay.recording.metadata import Block, Seal, Span

#: A block ends with the row that reaches either bound. Rows: enough for zstd to find what repeats (a quarter
#: of them costs 1 % more file). Bytes of keys, values and headers: what a reader must hold.
BLOCK_ROWS: Final = 65_536
BLOCK_BYTES: Final = 32 * 2**20


class Cutter:
    """Cuts messages into blocks, however many come at a time; the same messages are always cut at the same rows."""

    def __init__(self) -> None:
        """Starts with no rows."""
        self._rows: list[RecordedMessage] = []
        self._bytes = 0

    def take(self, messages: Iterable[RecordedMessage]) -> Iterator[pa.RecordBatch]:
        """Takes the next messages, and yields the blocks they bring to their end."""
        for message in messages:
            self._rows.append(message)
            self._bytes += len(message.key or b"") + len(message.value or b"")
            if message.headers:
                self._bytes += sum(len(name) + len(value or b"") for name, value in message.headers)
            if len(self._rows) >= BLOCK_ROWS or self._bytes >= BLOCK_BYTES:
                yield from self.rest()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Yields the block of the messages left, if there are any."""
        rows, self._rows, self._bytes = self._rows, [], 0
        if rows:
            yield to_columns(rows)


def cut_blocks(messages: Iterable[RecordedMessage]) -> Iterator[pa.RecordBatch]:
    """Yields `messages` in blocks."""
    cutter = Cutter()
    yield from cutter.take(messages)
    yield from cutter.rest()


class Sealer:
    """Takes the blocks of a recording as they are written, and makes its seal."""

    def __init__(self) -> None:
        """Starts with no rows."""
        self._blocks: list[Block] = []
        self._spans: dict[tuple[str, int], Span] = {}

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        """Returns the offset after the last row of each partition that has rows."""
        return {place: span.last_offset + 1 for place, span in self._spans.items()}

    def add(self, block: pa.RecordBatch) -> None:
        """Takes the next block.

        Raises:
            RecordingError: offsets of a partition do not rise.
        """
        topics = block.column("topic").dictionary_encode()
        codes, partitions = topics.indices.to_numpy(), block.column("partition").to_numpy()
        times_and_offsets = block.select(["offset", "timestamp"])
        for code, topic in enumerate(topics.dictionary.to_pylist()):
            for partition in np.unique(partitions[codes == code]).tolist():
                self._extend(
                    topic, partition, times_and_offsets.filter(pa.array((codes == code) & (partitions == partition)))
                )
        self._blocks.append(Block(block.num_rows, block_digest(block)))

    def seal(self) -> Seal:
        """Returns the seal of all blocks taken."""
        spans = [self._spans[place] for place in sorted(self._spans)]
        return Seal(sum(block.records for block in self._blocks), spans, self._blocks)

    def _extend(self, topic: str, partition: int, rows: pa.RecordBatch) -> None:
        offsets, timestamps = rows.column("offset").to_numpy(), rows.column("timestamp").to_numpy()
        before = self._spans.get((topic, partition))
        if (np.diff(offsets) <= 0).any() or (before is not None and offsets[0] <= before.last_offset):
            raise RecordingError(f"{topic}-{partition}: offsets must rise from row to row")
        earliest, latest = int(timestamps.min()), int(timestamps.max())
        if before is None:
            before = Span(topic, partition, 0, int(offsets[0]), 0, earliest, latest)
        self._spans[topic, partition] = Span(
            topic,
            partition,
            before.records + len(offsets),
            before.first_offset,
            int(offsets[-1]),
            min(before.min_timestamp, earliest),
            max(before.max_timestamp, latest),
        )
