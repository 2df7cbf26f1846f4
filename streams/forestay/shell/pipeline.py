"""One partition's way from chunks to durable decisions: the batch, and the barrier (design D3).

For each batch: apply, score, settle; then decisions durable, then actions durable. Between batches, at
most once a commit interval: the ledger's entries durable, then changed users and the mark, then offsets
committed. A failure anywhere raises out of `run`, and nothing after it is acknowledged.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol

from faust.types import TP

from forestay.core.applied import Applied, Restored
from forestay.core.budget.exchange import Letter
from forestay.core.decision.answer import Answer
from forestay.core.decision.decide import record_of
from forestay.core.decision.situation import Situation
from forestay.core.decoding.values import ValueDecoder
from forestay.core.errors import StateError
from forestay.core.event import NEVER
from forestay.core.ledger import Found, Ledger, Taken
from forestay.core.partition import MOST_WOKEN, Partition
from forestay.core.record import OutputRecord, Record
from forestay.core.state.pauses_mark import Tripped
from forestay.core.state.seal import sealed_records
from forestay.settings import ClockSource, TopicSettings, WorkerSettings
from forestay.shell.catalogues import Following
from forestay.shell.observing.observer import Batch, Observer
from forestay.shell.placement import Placement
from forestay.shell.publisher import Publisher
from forestay.shell.registry.schemas import Schemas
from forestay.shell.scorer import Scorer
from forestay.shell.timings import Timings
from forestay.shell.transport import Chunk

logger = logging.getLogger(__name__)

#: Chunks waiting in front of one partition; with the one in work they bound its memory.
_WAITING = 2


class Source(Protocol):
    """What a pipeline asks of the consumer that feeds it."""

    def seek_before_next_fetch(self, positions: dict[TP, int]) -> int:
        """Asks for a seek; returns the epoch of the chunks fetched after it."""

    async def commit_positions(self, positions: dict[TP, int]) -> bool:
        """Commits offsets to the group; returns whether it took them all."""

    def log_end(self, tp: TP) -> int | None:
        """Returns where a partition ended at the last fetch, None if that is not known."""


class Outside(NamedTuple):
    """What a pipeline works with, shared by all partitions of a worker."""

    scorer: Scorer
    publisher: Publisher
    source: Source
    topics: TopicSettings
    settings: WorkerSettings
    timings: Timings
    placement: Placement
    configuration: str
    schemas: Schemas | None = None
    observer: Observer | None = None
    following: Following | None = None

    @property
    def decoder(self) -> ValueDecoder | None:
        """Returns what reads values that are not JSON, None where they are."""
        return None if self.schemas is None else self.schemas.decoder


class Pipeline:
    """Feeds one partition's core and carries out what it decides."""

    def __init__(
        self,
        core: Partition,
        restored: Restored,
        found: Found,
        generation: int,
        outside: Outside,
        *,
        opening: Sequence[OutputRecord] = (),
        ends: Mapping[str, int] | None = None,
    ) -> None:
        """`restored`: what is to be written again; `found`: what was durable.

        `opening`: state records that are to be durable before anything is decided; `ends`: of the logs that only the
        owner writes, at recovery.
        """
        self.core = core
        self._restored = restored
        self._opening = opening
        self._ends = dict(ends or {})
        self._decisions_end = found.decisions.stop
        self._following = outside.following
        self._current = None if self._following is None else self._following.current
        digest = outside.configuration if self._current is None else self._current.digest
        self._ledger = Ledger(core, generation, digest)
        self._ledger.start(found, version("forestay"))
        self._generation = generation
        self._outside = outside
        self._inbox: asyncio.Queue[Chunk | None] = asyncio.Queue(_WAITING)
        #: The automatic pauses that were told of.
        self._paused: tuple[Tripped, ...] = ()
        self._stopping = False
        self._busy = False
        self._sought: dict[str, int] = {}
        # States that are moved again are emptied here, and that is to be durable whether or not anything is read; and
        # what was given of budgets is told again.
        self._committed = {} if restored.identity or core.has_to_tell else dict(core.positions)
        #: Where durable state ends: the positions of the last commit that came through.
        self.durable = dict(core.positions)
        #: The positions the group knows. A commit of offsets fails quietly in a rebalance.
        self._told: dict[str, int] = {}
        self._commit_at = time.monotonic() + outside.settings.commit_interval_seconds
        self._commit: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Says whether no chunk waits or is in work."""
        return self._inbox.empty() and not self._busy

    @property
    def ends(self) -> Mapping[str, int]:
        """Returns where the logs end that the owner alone writes, by topic, as far as this one knows."""
        return self._ends

    def again(self, ends: Mapping[str, int]) -> None:
        """Makes ready to run once more, after a `run` that ended without an error.

        What is in memory is then durable, or follows from what is: users may have been woken by a record that is
        still to be taken, and the decisions about them are in their log.

        It goes on under its old generation, also in the ledger: nothing lies between. `ends`: of the logs now.
        """
        self._ends = dict(ends)
        self._restored, self._opening = Restored([], []), ()
        self._inbox = asyncio.Queue(_WAITING)
        self._stopping = self._busy = False
        self._sought = {}
        self._commit_at = time.monotonic() + self._outside.settings.commit_interval_seconds

    async def put(self, chunk: Chunk) -> None:
        """Takes a chunk; returns when there is room for the next."""
        await self._inbox.put(chunk)

    def stop(self) -> None:
        """Lets `run` end after the batch in work and a last barrier; chunks not begun are left to a successor."""
        self._stopping = True
        while not self._inbox.empty():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)

    async def run(self) -> None:
        """Works until `stop`, or until something fails; a commit under way never outlives it."""
        try:
            await self._work()
        finally:
            if self._commit is not None:
                self._commit.cancel()

    async def _work(self) -> None:
        self._paused = ()
        self._tell_pauses()
        await self._publish_state(self._opening)
        repeated = [record_of(action) for action in self._restored.actions]
        await self._outside.publisher.publish(self._outside.topics.actions, self.core.number, repeated)
        await self._publish_identity(self._restored.identity)
        while not self._stopping:
            chunk = await self._next_chunk()
            if chunk is not None:
                self._busy = True
                await self._process(chunk)
                self._busy = False
            await self._commit_if_due()
        await self._finish_commit()
        self._begin_commit()
        await self._finish_commit()

    async def _next_chunk(self) -> Chunk | None:
        """Returns the next chunk, None if a commit is due first."""
        try:
            async with asyncio.timeout(max(self._commit_at - time.monotonic(), 0)):
                return await self._inbox.get()
        except TimeoutError:
            return None

    # -- batches -------------------------------------------------------------------------------------

    async def _process(self, chunk: Chunk) -> None:
        records = self._in_sequence(chunk)
        size = self._outside.settings.batch_records
        start = 0
        while start < len(records) and not self._stopping:
            start += await self._batch(chunk.topic, records[start : start + size])
            await self._commit_if_due()

    def _in_sequence(self, chunk: Chunk) -> list[Any]:
        """Returns the chunk's records that follow what was applied; on a gap, none, and reading starts over.

        A gap is believed only in a chunk fetched wholly after seeking to the expected offset: then the log
        itself has it (retention, compaction, marks of transactions).
        """
        expected = self.core.positions.get(chunk.topic, 0)
        records = [record for record in chunk.records if record.offset >= expected]
        if not records:
            self._check_end(TP(chunk.topic, chunk.partition), expected)
            return []
        if records[0].offset > expected:
            sought = self._sought.get(chunk.topic)
            if sought is None:
                tp = TP(chunk.topic, chunk.partition)
                self._sought[chunk.topic] = self._outside.source.seek_before_next_fetch({tp: expected})
                return []
            if chunk.epoch < sought:
                return []
        self._sought.pop(chunk.topic, None)
        return records

    def _check_end(self, tp: TP, expected: int) -> None:
        """Tells records that come again, after a rebalance, from a log that has begun anew."""
        end = self._outside.source.log_end(tp)
        if end is not None and end < expected:
            raise StateError(
                f"{tp.topic}-{tp.partition} ends at offset {end}, but was read to {expected}: the topic was deleted"
                " and made again, or has lost its tail. Nothing of it was taken in; `forestay repair` says what to do"
            )

    async def _batch(self, topic: str, records: Sequence[Record]) -> int:
        """Carries out one batch; returns how many of the records it took."""
        outside, timings = self._outside, self._outside.timings
        self._adopt()
        if outside.schemas is not None:
            await outside.schemas.prepare(topic, records)
        begin, now = self.core.positions.get(topic, 0), self._now()
        with timings.stage("apply"):
            applied = self.core.apply(topic, records, now, MOST_WOKEN)
        self._tell_pauses()
        with timings.stage("score"):
            answers = await self._score(applied.situations)
        with timings.stage("decide"):
            settled = self.core.settle(applied.situations, answers, outside.scorer.model)
            actions = [record_of(action) for action in settled.actions]
            decisions = [record_of(decision) for decision in settled.decisions]
            taken = Taken(topic, begin, self.core.positions[topic], applied.taken < len(records), now)
            made = {
                "decisions": decisions,
                "actions": actions,
                "dead_letters": applied.dead_letters,
                "features": applied.features,
                "outcomes": settled.outcomes,
            }
            self._ledger.batch(taken, outside.scorer.model, made)
        with timings.stage("publish"):
            await self._publish(applied, settled.outcomes, decisions, actions)
        if applied.flood is not None:
            # Written, so that people can see what is wrong; not committed, so that a restart drains nothing.
            raise applied.flood
        timings.count("records", applied.taken)
        timings.count("decisions", len(decisions))
        timings.count("actions", len(actions))
        timings.count("outcomes", len(settled.outcomes))
        timings.count("dead_letters", len(applied.dead_letters))
        timings.count("too_late", applied.late)
        if outside.observer is not None:
            with timings.stage("observe"):
                age = None if now == NEVER else _age(records[0])
                outside.observer.take(Batch(self.core.number, self.core.clock, applied, answers, settled, age))
        return applied.taken

    def _adopt(self) -> None:
        """Goes on under the newest catalogue: between two batches no user is half decided upon."""
        if self._following is None or self._following.current is self._current:
            return
        current = self._current = self._following.current
        self.core.adopt(current.catalogue)
        self._ledger.adopt(current.digest)
        logger.info("partition %d goes on under catalogue %s", self.core.number, self.core.version)

    def _tell_pauses(self) -> None:
        """Tells of offers and kinds that what is told of them has stopped in this partition."""
        pauses, number = self.core.pauses, self.core.number
        if pauses.tripped == self._paused:
            return
        for one in pauses.tripped:
            if one not in self._paused:
                told = (one.subject, number, one.bad, one.told, pauses.rule(one).hours)
                logger.error(
                    "%s is paused in partition %d: %d actions told of badly, of %d told of in %g h; another version"
                    " of the catalogue lifts it (`forestay catalogue resume --automatic`)",
                    *told,
                )
        self._paused = pauses.tripped
        if self._outside.observer is not None:
            # Several rules may have stopped the same.
            self._outside.observer.paused[number] = sorted({one.subject for one in pauses.tripped})

    def _now(self) -> int:
        """Returns the wall's time in milliseconds where the stream is live, `NEVER` where it is a recording."""
        live = self._outside.settings.clock is ClockSource.WALL
        return round(time.time() * 1000) if live else NEVER

    async def _score(self, situations: Sequence[Situation]) -> dict[str, Answer]:
        if not situations:
            return {}
        answers = await self._outside.scorer.score(situations)
        return {one.decision_id: answer for one, answer in zip(situations, answers, strict=True)}

    async def _publish(
        self,
        applied: Applied,
        outcomes: list[OutputRecord],
        decisions: list[OutputRecord],
        actions: list[OutputRecord],
    ) -> None:
        """Makes outputs durable. Decisions go before actions, as into any write-ahead log.

        A crash between the two leaves decisions whose actions a successor repeats; the other way round it
        would leave actions nobody decided.
        """
        topics, publish, number = self._outside.topics, self._outside.publisher.publish, self.core.number
        after, _, _, _, _ = await asyncio.gather(
            publish(topics.decisions, number, decisions),
            publish(topics.dead_letters, number, applied.dead_letters),
            publish(topics.features, number, applied.features),
            publish(topics.outcomes, number, outcomes),
            self._publish_identity(applied.identity),
        )
        if decisions:
            self._decisions_end = self._ends[topics.decisions] = after
        await publish(topics.actions, number, actions)

    async def _publish_identity(self, records: Sequence[OutputRecord]) -> None:
        """Writes identity records, each to the partition of the id it is about; those of one partition in order."""
        topic, publish = self._outside.topics.identity, self._outside.publisher.publish
        own = self._outside.placement.by_partition(records)
        await asyncio.gather(*(publish(topic, partition, own[partition]) for partition in own))

    async def _publish_letters(self, letters: Sequence[Letter]) -> None:
        """Writes what other partitions are told of budgets, each to the partition it is for."""
        topic, publish = self._outside.topics.budget, self._outside.publisher.publish
        own: dict[int, list[OutputRecord]] = {}
        for letter in letters:
            own.setdefault(letter.partition, []).append(letter.record)
        await asyncio.gather(*(publish(topic, partition, own[partition]) for partition in own))

    # -- barrier -------------------------------------------------------------------------------------

    async def _commit_if_due(self) -> None:
        """Begins a commit when the last is long enough ago; batches go on while it travels."""
        if time.monotonic() < self._commit_at:
            return
        await self._finish_commit()
        self._begin_commit()
        self._commit_at = time.monotonic() + self._outside.settings.commit_interval_seconds

    def _begin_commit(self) -> None:
        if self.core.positions == self._committed:
            if self._told != self._committed:
                self._commit = asyncio.create_task(self._tell(self._committed))
            return
        with self._outside.timings.stage("encode"):
            records = self.core.checkpoint(self._decisions_end, self._generation)
            entries = self._ledger.commit(self._decisions_end, records)
        self._committed = dict(self.core.positions)
        self._commit = asyncio.create_task(self._make_durable(entries, records, self._committed))

    async def _finish_commit(self) -> None:
        """Awaits the commit under way, and raises what went wrong in it."""
        if self._commit is not None:
            with self._outside.timings.stage("commit_wait"):
                await self._commit
            self._commit = None
            # States and units that leave for another partition may be sent now, and not before.
            await self._publish_identity(self.core.durable())
            await self._publish_letters(self.core.exchange.durable())

    async def _publish_state(self, records: Sequence[OutputRecord]) -> None:
        publish, topic = self._outside.publisher.publish, self._outside.topics.state
        if records:
            self._ends[topic] = await publish(topic, self.core.number, sealed_records(records))

    async def _make_durable(
        self, entries: list[OutputRecord], records: list[OutputRecord], positions: dict[str, int]
    ) -> None:
        # No state without the entries that tell how it came about.
        ledger = self._outside.topics.ledger
        self._ends[ledger] = await self._outside.publisher.publish(ledger, self.core.number, entries)
        await self._publish_state(records)
        await self._tell(positions)
        self.durable = positions
        self._outside.timings.count("state_records", len(records))

    async def _tell(self, positions: dict[str, int]) -> None:
        """Commits offsets to the group, where lag is read from."""
        number = self.core.number
        if await self._outside.source.commit_positions({TP(topic, number): at for topic, at in positions.items()}):
            self._told = positions


def _age(record: Record) -> float | None:
    """Returns how many seconds ago a record was written, None if it does not say."""
    return None if record.timestamp is None else max(time.time() - record.timestamp / 1000, 0.0)
