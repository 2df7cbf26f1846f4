"""Records as our own parser makes them, or as aiokafka's where they are compressed, old or odd.

`RecordConsumer.getmany` gives lists of `Record`s; their bytes are copies: no record holds a fetch in memory.
Which records these are, and where reading stands after them, is as in aiokafka: committed transactions only (if asked
for), no control records, gaps of compaction skipped, all formats and compressions of Kafka.

Three of aiokafka's classes are replaced for this consumer alone, by the names under which its methods look them up.
"""

from collections.abc import Sequence
from typing import Any, Self, cast

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from crc32c import crc32c

from forestay.core.record import Record
from forestay.core.record_batch import read_records
from forestay.shell.stoppable import StoppableFetcher, with_names

#: A list ends with the batch that brings it to so many records: compressed, a fetch may hold 30 times as many.
_ENOUGH = 4_096
# Where a batch of any format has its length, counted from behind it, and the number of its format.
_LENGTH, _LENGTH_END, _MAGIC = 8, 12, 16
#: The format with one CRC-32C for the whole batch (Kafka 0.11 and later), and where the bytes it covers begin.
_MAGIC_V2, _COVERED = 2, 21


class FetchedBatches:
    """aiokafka's `MemoryRecords`, with checksums made by the CPU's own instruction: 15 GB/s where its C makes 2.5.

    Each batch is parsed by itself: aiokafka takes the format of the first for that of all, and cannot read a fetch
    that begins in segments from before an upgrade of the format.
    """

    def __init__(self, data: bytes) -> None:
        """`data`: the batches of one partition as the broker sent them, the last one perhaps cut short."""
        self._data = data
        self._start = 0
        #: The bytes of the batch that `next_batch` gave last.
        self.current = b""

    def size_in_bytes(self) -> int:
        """Returns how many bytes the broker sent."""
        return len(self._data)

    def has_next(self) -> bool:
        """Says whether a whole batch is left."""
        return len(self._data) >= self._start + _LENGTH_END and len(self._data) >= self._end()

    def next_batch(self, check: bool) -> Any:
        """Returns the next batch.

        Raises:
            CorruptRecordException: `check` is set and its checksum is wrong, or it makes no sense.
        """
        data = self._data[self._start : self._end()]
        batch = MemoryRecords(data).next_batch()
        if batch is None:
            raise CorruptRecordException("a batch of negative length")
        if check and not _is_intact(batch, data):
            raise CorruptRecordException("wrong checksum")
        self._start += len(data)
        self.current = data
        return batch

    def _end(self) -> int:
        at = self._start
        return at + _LENGTH_END + int.from_bytes(self._data[at + _LENGTH : at + _LENGTH_END], "big", signed=True)


def _is_intact(batch: Any, data: bytes) -> bool:
    if data[_MAGIC] == _MAGIC_V2:
        return bool(crc32c(memoryview(data)[_COVERED:]) == batch.crc)
    return bool(batch.validate_crc())


class BatchRecords(PartitionRecords):  # type: ignore[misc]
    """What a fetch brought for one partition, taken batch by batch."""

    next_fetch_offset: int

    def __init__(self, *args: Any) -> None:
        """As aiokafka's."""
        super().__init__(*args)
        # Its generator would hold this object, and the fetch, in a cycle until a garbage collection.
        self._records_iterator = None

    def take(self) -> list[Record]:
        """Returns the next records; `next_fetch_offset` is then behind them.

        Raises:
            CorruptRecordException: nothing of this fetch may be used from here on.
        """
        taken: list[Record] = []
        while self.has_next() and len(taken) < _ENOUGH:
            try:
                batch = self._records.next_batch(self._check_crcs)
                if self._is_data(batch):
                    taken += self._wanted(batch)
            except CorruptRecordException as error:
                where = f"{self._tp.topic}-{self._tp.partition} from offset {self.next_fetch_offset}"
                raise CorruptRecordException(f"{where}: {error}") from error
            # A batch knows the offset behind it even where compaction has taken its last records.
            self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)
        return taken

    def has_next(self) -> bool:
        """Says whether a whole batch is left."""
        return cast(bool, self._records.has_next())

    def _wanted(self, batch: Any) -> Sequence[Record]:
        """Returns the batch's records but for those before the position sought: the broker sends whole batches."""
        first, data = self.next_fetch_offset, self._records.current
        own = read_records(data, first)
        if own is not None:
            return own
        records: list[Record] = list(batch)
        if records and records[0].offset < first:
            return [record for record in records if record.offset >= first]
        return records

    def _is_data(self, batch: Any) -> bool:
        """Says whether the batch holds records for us; follows which transactions are aborted from here on."""
        if self._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return False
        return not batch.is_control_batch


class BatchResult(FetchResult):  # type: ignore[misc]
    """One partition's part of a fetch, handed over as lists."""

    _partition_records: BatchRecords | None

    def getall(self, max_records: int | None = None) -> list[Record]:
        """Returns the records of the next whole batches.

        Raises:
            ValueError: `max_records` is set: batches are not cut.
        """
        if max_records is not None:
            raise ValueError(f"max_records={max_records} cannot be kept: whole batches are handed over")
        if not self.check_assignment(self._topic_partition) or (records := self._partition_records) is None:
            return []
        taken = records.take()
        self._update_position()
        if not records.has_next():
            self._partition_records = None
        return taken


class _BatchFetcher(StoppableFetcher):
    """A fetcher that keeps what it fetched as `BatchResult`s."""

    _proc_fetch_request = with_names(
        StoppableFetcher._proc_fetch_request,  # noqa: SLF001
        MemoryRecords=FetchedBatches,
        PartitionRecords=BatchRecords,
        FetchResult=BatchResult,
    )
    fetched_records = with_names(StoppableFetcher.fetched_records, FetchResult=BatchResult)


class RecordConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer whose `getmany` gives the parser's records; it has no `getone` and no limit of records."""

    start = with_names(AIOKafkaConsumer.start, Fetcher=_BatchFetcher)

    async def __aenter__(self) -> Self:
        """Starts; what fails or is cancelled on the way is closed, which aiokafka's leaves to the garbage."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self
