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


def cut_blocks(messages: Iterable[RecordedMessage]) -> Iterator[pa.RecordBatch]:
    """Yields `messages` in blocks; the same messages are always cut at the same rows."""
    rows: list[RecordedMessage] = []
    size = 0
    for message in messages:
        rows.append(message)
        size += len(message.key or b"") + len(message.value or b"")
        size += sum(len(name) + len(value or b"") for name, value in message.headers)
        if len(rows) >= BLOCK_ROWS or size >= BLOCK_BYTES:
            yield to_columns(rows)
            rows, size = [], 0
    if rows:
        yield to_columns(rows)


class Sealer:
    """Takes the blocks of a recording as they are written, and makes its seal."""

    def __init__(self) -> None:
        """Starts with no rows."""
        self._blocks: list[Block] = []
        self._spans: dict[tuple[str, int], Span] = {}

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
