"""In which order the partitions of a foreign topic are read: the record with the smallest timestamp first.

A topic of foreign events is not keyed by user, so mapping mixes all of its partitions into each partition of the
clickstream, where the newest event moves the clock. aiokafka's `getmany` gives one partition's records as long as
it has any: on a backlog of a week the other partitions' events would all come too late. So records wait here until
each partition with a backlog shows its next one, and leave in the order of their timestamps, as in Kafka Streams
(https://kafka.apache.org/documentation/streams/core-concepts#streams_out_of_order_handling).
"""

import asyncio
import heapq
import logging
import time
from collections import deque
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from forestay.core.record import Record

logger = logging.getLogger(__name__)

#: How long the other partitions wait for one that has a backlog and gives none of it (seconds): its broker is down.
_PATIENCE_SECONDS: Final = 60.0


class Run(NamedTuple):
    """Records of one partition that follow each other, in offset order."""

    partition: Any
    records: Sequence[Record]


class _Held(NamedTuple):
    moment: int
    offset: int
    record: Record


class TimestampOrder:
    """Takes records of all assigned partitions, smallest timestamp first (of equal ones, smallest offset).

    One fetch a partition is held for it.
    """

    def __init__(self, consumer: Any, batch_records: int, wait_seconds: float) -> None:
        """`consumer`: an AIOKafkaConsumer; `wait_seconds`: for records, where there are none."""
        self._consumer = consumer
        self._batch_records = batch_records
        self._wait_milliseconds = round(wait_seconds * 1000)
        self._held: dict[Any, deque[_Held]] = {}
        self._missing_since: dict[Any, float] = {}
        self._warned: set[Any] = set()

    def clear(self) -> None:
        """Forgets what is held: the partitions were given out anew, and start where they were committed."""
        self._held.clear()
        self._missing_since.clear()

    async def take(self) -> list[Run]:
        """Returns at most `batch_records` records; none if it waited for some.

        It waits at most once, and last: a rebalance that begins meanwhile is not kept from its turn.
        """
        for tp in sorted(self._consumer.assignment()):
            if not self._held.get(tp):
                await self._fetch((tp,), 0)
        missing = [tp for tp in self._consumer.assignment() if not self._held.get(tp) and await self._is_behind(tp)]
        hopeful = self._worth_waiting(missing)
        if hopeful:
            await self._fetch(hopeful, self._wait_milliseconds)
            return []
        if not any(self._held.values()):
            await self._fetch((), self._wait_milliseconds)
            return []
        return await self._merge()

    async def _fetch(self, partitions: Sequence[Any], wait: int) -> None:
        """Holds what the `partitions` give (all, if none is named), within `wait` milliseconds."""
        fetched = await self._consumer.getmany(*partitions, timeout_ms=wait, max_records=self._batch_records)
        # A record of the future counts as of now: its partition must not wait for the others to get there.
        now = time.time_ns() // 1_000_000
        for tp, records in fetched.items():
            held = self._held.setdefault(tp, deque())
            held.extend(_Held(min(record.timestamp or 0, now), record.offset, record) for record in records)

    async def _is_behind(self, tp: Any) -> bool:
        """Says whether the partition has more than was fetched, as far as is known; before its first fetch, yes."""
        if tp not in self._consumer.assignment():
            return False
        end = self._consumer.last_stable_offset(tp)
        if end is None or end < 0:
            # A broker without transactions.
            end = self._consumer.highwater(tp)
        return end is None or await self._consumer.position(tp) < end

    def _worth_waiting(self, missing: Sequence[Any]) -> list[Any]:
        """Returns those of the `missing` that patience is not out with yet; warns once of each other."""
        now = asyncio.get_running_loop().time()
        self._missing_since = {tp: self._missing_since.get(tp, now) for tp in missing}
        hopeful = [tp for tp in missing if now - self._missing_since[tp] < _PATIENCE_SECONDS]
        self._warned &= set(missing)
        for tp in set(missing) - set(hopeful) - self._warned:
            self._warned.add(tp)
            logger.warning(
                "partition %d has given nothing for %g s: the others go on, and what it holds may come too late",
                tp.partition,
                _PATIENCE_SECONDS,
            )
        return hopeful

    async def _merge(self) -> list[Run]:
        """Takes records until the batch is full, or a partition has more that are not fetched yet."""
        heads = [(*held[0][:2], tp) for tp, held in self._held.items() if held]
        heapq.heapify(heads)
        taken: list[tuple[Any, Record]] = []
        while heads and len(taken) < self._batch_records:
            *_, tp = heads[0]
            held = self._held[tp]
            taken.append((tp, held.popleft().record))
            if held:
                heapq.heapreplace(heads, (*held[0][:2], tp))
                continue
            heapq.heappop(heads)
            if await self._is_behind(tp):
                break
        return [Run(tp, [record for _, record in run]) for tp, run in groupby(taken, key=lambda pair: pair[0])]
