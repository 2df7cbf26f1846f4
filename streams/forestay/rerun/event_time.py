"""A rerun without a ledger: all partitions together, in the order of recorded time (design D5).

How rows are cut into batches changes nothing. What one partition has to tell another about ids that are one user
(docs/identity.md), or of budgets, is told at once, before any later row: a rerun has no way for it to travel.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from forestay.core.applied import Applied
from forestay.core.decision.answer import Answer
from forestay.core.identity.identity_record import Move, decode_identity
from forestay.core.record import OutputRecord, Record, SourceRecord
from forestay.core.units import MINUTE, to_datetime
from forestay.rerun.lane import Batch, Lane, Plan
from forestay.rerun.outputs import Sink
from forestay.rerun.scores import Scores
from forestay_schemas import ClockRecord

#: Rows taken at once: enough for whole requests to the model, few enough to hold.
ROWS: Final = 8_000
#: Rows taken at once, and milliseconds of recorded time they may lie in, where somebody looks on.
_OBSERVED_ROWS: Final = 500
_OBSERVED_SPAN: Final = 5 * MINUTE
_FOREVER: Final = 2**62
#: Records of a partition after which what is not in use is packed.
_CHECKPOINT: Final = 20_000

#: Called with the topic and its records before they are applied.
Prepare = Callable[[str, Sequence[Record]], None]
#: Called with a batch that was decided: partition, its clock (milliseconds), what was applied, and the answers.
Observe = Callable[[int, int, Applied, Sequence[Answer]], None]


class EventTime:
    """All partitions of a rerun."""

    def __init__(
        self,
        plan: Plan,
        scores: Scores,
        sink: Sink,
        *,
        rows: int = ROWS,
        prepare: Prepare | None = None,
        observe: Observe | None = None,
    ) -> None:
        """`rows` are taken at once; `prepare` sees to what the plan's decoder needs; `observe` is told of batches.

        What is observed is taken in the small batches of a worker: no more than some minutes of time.
        """
        self.records = 0
        self.lanes: dict[int, Lane] = {}
        self._plan = plan
        self._scores = scores
        self._sink = sink
        self._rows = rows if observe is None else _OBSERVED_ROWS
        self._span = _FOREVER if observe is None else _OBSERVED_SPAN
        self._prepare = prepare
        self._observe = observe
        self._queues: dict[int, deque[Batch]] = defaultdict(deque)
        self._identity: list[OutputRecord] = []
        #: Next offsets of what partitions tell each other, by topic and partition.
        self._next: dict[tuple[str, int], int] = defaultdict(int)
        #: Ids whose events are sent on to another.
        self._moved: set[bytes | None] = set()
        self._time = 0

    def run(self, rows: Iterable[SourceRecord]) -> None:
        """Works off rows of the clickstream, the clock and feedback, in the order of their time.

        Raises:
            FloodError: so many records failed that a worker would have stopped.
            ForestayError: no scores are to be had.
        """
        for part in self._cut(rows):
            self._work_off(part)

    def tell(self, ts: int, partitions: Iterable[int]) -> None:
        """Tells partitions that it is `ts` (milliseconds), as a clock record does: silences come due."""
        value = ClockRecord(ts=to_datetime(ts)).model_dump_json().encode()
        topic = self._plan.sources.clock
        offsets = {number: self._lane(number).core.positions.get(topic, 0) for number in partitions}
        self._work_off(
            [SourceRecord(topic, number, offset, ts, None, value) for number, offset in offsets.items()], count=False
        )

    # -- rows ----------------------------------------------------------------------------------------

    def _cut(self, rows: Iterable[SourceRecord]) -> Iterator[list[SourceRecord]]:
        """Yields rows in parts; a row that may have something to tell another partition is the last of its part."""
        part: list[SourceRecord] = []
        merges, every = self._plan.rules.merge_identities, self._plan.decoder is not None
        for row in rows:
            if self._ends(part, row):
                yield part
                part = []
            part.append(row)
            is_last = merges and (every or _names_another(row.value) or row.key in self._moved)
            if is_last or len(part) >= self._rows:
                yield part
                part = []
        yield part

    def _ends(self, part: Sequence[SourceRecord], row: SourceRecord) -> bool:
        """Says whether a row begins a span of time that its part should not reach into."""
        return bool(part) and row.timestamp // self._span > part[0].timestamp // self._span

    def _work_off(self, part: Sequence[SourceRecord], *, count: bool = True) -> None:
        for row in part:
            self._enqueue(row)
        if part:
            self._time = max(self._time, part[-1].timestamp)
        self.records += len(part) if count else 0
        self._work()
        while (told := self._told()) or any(self._queues.values()):
            for record in told:
                self._send(record)
            self._work()

    def _enqueue(self, row: SourceRecord) -> None:
        """Puts a row behind those of its partition; rows of one topic that follow each other are a batch."""
        queue = self._queues[row.partition]
        if not queue or queue[-1].topic != row.topic:
            queue.append(Batch(row.topic, []))
        records = queue[-1].records
        assert isinstance(records, list)  # noqa: S101 - it was made here
        records.append(row)

    # -- batches -------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Works off the queues: a batch of every partition at a time, scored together."""
        while any(self._queues.values()):
            numbers = [number for number in sorted(self._queues) if self._queues[number]]
            batches = {number: self._apply(number) for number in numbers}
            answers = iter(self._scores.answer([one for batch in batches.values() for one in batch.situations]))
            for number, batch in batches.items():
                lane = self._lane(number)
                own = [next(answers) for _ in batch.situations]
                for made in lane.settle(own):
                    self._sink.take(made)
                if self._observe is not None:
                    self._observe(number, lane.core.clock, batch, own)
                if lane.flood is not None:
                    raise lane.flood

    def _apply(self, number: int) -> Applied:
        queue = self._queues[number]
        batch = queue.popleft()
        if self._prepare is not None:
            self._prepare(batch.topic, batch.records)
        applied = self._lane(number).apply(batch)
        self._identity += applied.identity
        if applied.taken < len(batch.records) and applied.flood is None:
            queue.appendleft(batch._replace(records=batch.records[applied.taken :]))
        return applied

    def _lane(self, number: int) -> Lane:
        lane = self.lanes.get(number)
        if lane is None:
            lane = self.lanes[number] = Lane(self._plan, number)
        return lane

    # -- identity ------------------------------------------------------------------------------------

    def _told(self) -> list[OutputRecord]:
        """Returns what partitions have to tell each other by now, in order."""
        told, self._identity = self._identity, []
        for _, lane in sorted(self.lanes.items()):
            if lane.unwritten >= _CHECKPOINT or lane.core.has_to_tell:
                lane.checkpoint(lane.decisions, 0)
                told += lane.core.durable()
                for letter in lane.core.exchange.durable():
                    self._deliver(self._plan.sources.budget, letter.partition, letter.record)
        return told

    def _send(self, record: OutputRecord) -> None:
        number = self._plan.place(record.key or b"")
        move = decode_identity(record.key, record.value)
        if isinstance(move, Move):
            self._moved.add(move.other.encode())
        self._deliver(self._plan.sources.identity, number, record)

    def _deliver(self, topic: str, number: int, record: OutputRecord) -> None:
        offset = self._next[topic, number]
        self._next[topic, number] += 1
        self._enqueue(SourceRecord(topic, number, offset, self._time, record.key, record.value))


def _names_another(value: bytes | None) -> bool:
    """Says whether a value of JSON may name another id of its user; its name may be written with escapes."""
    return value is not None and (b"anonymous_id" in value or b"\\u" in value)
