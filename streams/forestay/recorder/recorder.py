"""Records topics: reads, merges, writes, until told to stop or until all is there (docs/recording.md)."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from kafka.errors import KafkaError

from forestay.core.errors import ForestayError
from forestay.recorder.bounds import Bound, Kind
from forestay.recorder.choice import Choice
from forestay.recorder.merging import Merge, Place
from forestay.recorder.reach import Reach
from forestay.recorder.source import OffsetsGoneError, Source
from forestay.recording import RecordedMessage, RecordingError, RecordingMetadata
from forestay.recording.folder import Positions, write_positions
from forestay.recording.output import Describe, Output
from forestay.settings import KafkaSettings
from forestay.shell.topics import end_offsets

logger = logging.getLogger(__name__)

Tell = Callable[[str, int, int | None], None]
#: Seconds between two looks for new partitions and new topics.
_LOOK: Final = 15.0
#: Bytes of keys and values held for the merge, of all partitions together: what is above waits at the broker.
_HELD: Final = 16 * 2**20


class Plan(NamedTuple):
    """What to record: each partition from `start` to `end`, at most `limit` records in all."""

    choice: Choice
    start: Bound
    end: Bound
    limit: int | None
    #: Whether to go on where records are gone before they were recorded, rather than to stop.
    skip_gaps: bool

    @property
    def follows(self) -> bool:
        """Says whether records that come later are wanted."""
        return self.end.kind in (Kind.NEVER, Kind.TIME)


class Report(NamedTuple):
    """What was recorded: `gone` offsets of partitions were deleted before; `files` are those sealed, with digests."""

    records: int
    bytes: int
    seconds: float
    resumed: bool
    halted: bool
    gone: dict[Place, int]
    positions: Positions
    files: dict[str, str]


class Recorder:
    """One run."""

    def __init__(
        self,
        kafka: KafkaSettings,
        plan: Plan,
        find: Callable[[], dict[str, int]],
        make_output: Callable[[Describe], Output],
        tell: Tell,
    ) -> None:
        """`find` returns how many partitions each topic has now, and is called in a thread of its own."""
        self._kafka = kafka
        self._plan = plan
        self._find = find
        self._output = make_output(self._describe)
        self._tell = tell
        self._counts: dict[str, int] = {}
        self._gone: Counter[Place] = Counter()
        self._begun: dict[Place, int] = {}
        self._reach = Reach(plan.end)
        self._merge = Merge()
        self._records = 0
        self._moved = time.monotonic()

    async def run(self, stop: asyncio.Event) -> Report:
        """Records until all is there or `stop` is set; what was recorded is then sealed.

        Raises:
            ConfigurationError: a topic is not there.
            RecordingError: there is no room, the folder is in use, or what it holds is damaged. Sealed parts stay.
            ForestayError: Kafka does not answer, or records are gone before they were recorded. So here too.
            kafka.errors.KafkaError: no broker answers.
        """
        started = time.monotonic()
        with self._output as output:
            resumed = output.is_resumed
            counts = await asyncio.to_thread(self._find)
            async with Source(self._kafka, sum(counts.values())) as source:
                await self._begin(source, counts)
                looking = asyncio.create_task(self._look())
                try:
                    while not stop.is_set() and not self._is_complete():
                        if looking.done():
                            await self._extend(source, looking.result())
                            looking = asyncio.create_task(self._look())
                        await self._step(source)
                except RecordingError:
                    # Rows are lost with what could not be written: nothing may be written behind them.
                    raise
                except ForestayError:
                    await self._seal()
                    raise
                finally:
                    looking.cancel()
                    await asyncio.gather(looking, return_exceptions=True)
                await self._seal()
            return Report(
                records=self._records,
                bytes=output.bytes,
                seconds=time.monotonic() - started,
                resumed=resumed,
                halted=stop.is_set(),
                gone=dict(self._gone),
                positions=output.positions,
                files=output.sealed,
            )

    # -- where to begin --------------------------------------------------------------------------------

    async def _begin(self, source: Source, counts: dict[str, int]) -> None:
        """Places every partition: where the recording ends, or where the plan starts."""
        self._counts = counts
        recorded = self._output.positions
        known = {topic for topic, _ in recorded}
        new = [place for place in _places(counts) if place not in recorded]
        # A partition that came while nobody recorded is recorded from its beginning, and so is a topic of a pattern.
        late = [
            place
            for place in new
            if place[0] in known or (self._output.is_resumed and place[0] not in self._plan.choice.names)
        ]
        named = [place for place in new if place not in late]
        starts = await self._starts(source, named)
        starts |= await source.first(late)
        if new or not recorded:
            self._output.begin(starts)
        not_before = self._plan.start.at if self._plan.start.kind is Kind.TIME else None
        for place in _places(counts):
            self._reach.begin(place, self._output.positions[place], not_before if place in named else None)
        await self._skip(source, list(self._reach.positions))
        self._begun = dict(self._reach.positions)
        source.assign(self._reach.positions)

    async def _starts(self, source: Source, places: list[Place]) -> dict[Place, int]:
        start = self._plan.start
        if not places:
            return {}
        if start.kind is Kind.EARLIEST:
            return await source.first(places)
        if start.kind is Kind.OFFSET:
            return dict.fromkeys(places, start.at)
        at = await source.at_time(places, start.at) if start.kind is Kind.TIME else dict.fromkeys(places)
        counts = {topic: self._counts[topic] for (topic, _), offset in at.items() if offset is None}
        ends = await asyncio.to_thread(end_offsets, self._kafka, counts) if counts else {}
        return {
            (topic, number): ends[topic][number] if offset is None else offset
            for (topic, number), offset in at.items()
        }

    async def _skip(self, source: Source, places: list[Place]) -> bool:
        """Looks whether partitions still have what is to be read next; says whether one had to be placed anew.

        Raises:
            ForestayError: one has not, and the plan is to stop there.
        """
        placed: Positions = {}
        for place, first in (await source.first(places)).items():
            position = self._reach.positions[place]
            if position >= first:
                continue
            name, gone = f"{place[0]}-{place[1]}", first - position
            said = (
                f"{gone:,} offsets of {name} are gone, {position} to {first - 1}: deleted before they were recorded"
            )
            if not self._plan.skip_gaps:
                raise ForestayError(f"{said}. --on-gap skip goes on behind them")
            logger.warning("%s", said)
            self._gone[place] += gone
            placed[place] = first
        if placed:
            await self._write(self._merge.take(()))
            self._output.begin(placed)
            for place, first in placed.items():
                self._reach.begin(place, first)
        return bool(placed)

    # -- one round -------------------------------------------------------------------------------------

    async def _step(self, source: Source) -> None:
        try:
            fetched = await source.poll(self._hungry())
        except OffsetsGoneError as error:
            await self._replace(source, error.places)
            return
        for place, records in fetched.items():
            self._moved = time.monotonic()
            self._merge.add(place, self._reach.take(place, records))
        for place in list(self._reach.positions):
            if not self._reach.is_done(place):
                await self._advance(source, place)
        if self._plan.end.kind is Kind.TIME and time.time() * 1_000 >= self._plan.end.at:
            self._reach.end_at_newest()
        await self._write(self._merge.take(self._awaited()))
        if self._output.is_due:
            await self._seal()
        self._tell("recording", self._records, self._total())

    async def _advance(self, source: Source, place: Place) -> None:
        position, last = await source.position(place), source.last(place)
        if last is not None and position > last:
            raise _made_anew(place, position, last)
        self._reach.advance(place, position, source.end(place))
        if self._reach.is_done(place):
            source.drop(place)

    def _hungry(self) -> list[Place]:
        """Returns the partitions to read from: those of which little is held, and none that is done."""
        share = _HELD // max(len(self._reach.positions), 1)
        return [
            place
            for place in self._reach.positions
            if not self._reach.is_done(place) and self._merge.held(place) <= share
        ]

    def _awaited(self) -> list[Place]:
        """Returns the partitions for which others wait.

        Raises:
            ForestayError: nothing comes of them, and all there is was to be recorded.
        """
        behind = [place for place in self._reach.positions if self._reach.is_behind(place)]
        if behind and time.monotonic() - self._moved > self._kafka.request_timeout_seconds:
            if not self._plan.follows:
                names = ", ".join(f"{topic}-{number}" for topic, number in behind)
                raise ForestayError(
                    f"nothing can be read of {names} for {self._kafka.request_timeout_seconds:g} s: are their"
                    " leaders up? The same command goes on where this recording ends"
                )
            return []
        return behind

    async def _replace(self, source: Source, places: list[Place]) -> None:
        """Places partitions anew that do not have the offset to be read next."""
        if await self._skip(source, places):
            source.assign(self._reach.positions)
            return
        raise _made_anew(places[0], self._reach.positions[places[0]], source.last(places[0]))

    # -- partitions and topics that come later ---------------------------------------------------------

    async def _look(self) -> dict[str, int]:
        """Returns the topics' partitions a while later; as they were where nobody tells."""
        await asyncio.sleep(_LOOK)
        try:
            return await asyncio.to_thread(self._find) if self._plan.follows else self._counts
        except KafkaError as error:
            logger.warning("the broker does not tell which topics there are: %r", error)
            return self._counts

    async def _extend(self, source: Source, counts: dict[str, int]) -> None:
        """Takes in partitions that are new, from their beginning."""
        new = [place for place in _places(counts) if place not in self._reach.positions]
        self._counts = self._counts | counts
        if not new:
            return
        logger.warning("%d new partitions are recorded too, of %s", len(new), sorted({topic for topic, _ in new}))
        await self._write(self._merge.take(()))
        first = await source.first(new)
        self._output.begin(first)
        for place, offset in first.items():
            self._reach.begin(place, offset)
            self._begun[place] = offset
        source.assign(self._reach.positions)

    # -- writing ---------------------------------------------------------------------------------------

    async def _write(self, rows: list[RecordedMessage]) -> None:
        if self._plan.limit is not None:
            rows = rows[: self._plan.limit - self._records]
        # In a thread: meanwhile the next records come.
        await asyncio.to_thread(self._output.take, rows)
        self._records += len(rows)

    async def _seal(self) -> None:
        await asyncio.to_thread(self._output.finish)

    def _is_complete(self) -> bool:
        if self._plan.limit is not None and self._records >= self._plan.limit:
            return True
        return all(map(self._reach.is_done, self._reach.positions))

    def _total(self) -> int | None:
        total = self._reach.total(self._begun.items())
        return self._plan.limit if total is None else min(total, self._plan.limit or total)

    def _describe(self, positions: Positions) -> RecordingMetadata:
        """Returns the metadata of a part that begins at `positions`."""
        roles = self._plan.choice.roles
        return RecordingMetadata(
            description=f"recorded from {', '.join(self._counts)}",
            partitions=self._counts,
            properties=write_positions(positions) | {"roles": {t: roles[t] for t in self._counts if t in roles}},
        )


def _places(counts: dict[str, int]) -> Iterable[Place]:
    return [(topic, number) for topic, count in sorted(counts.items()) for number in range(count)]


def _made_anew(place: Place, position: int, last: int | None) -> ForestayError:
    end = "before that" if last is None else f"at {last}"
    return ForestayError(
        f"{place[0]}-{place[1]} ends {end}, and is to be read from {position} on: it was made anew or cut off, or the"
        " offset does not exist yet. Record it into another folder"
    )
