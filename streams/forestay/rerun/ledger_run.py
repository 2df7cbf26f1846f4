"""A rerun by the ledger (design D5): each batch as it was, and held against what was recorded of it."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import record_of
from forestay.core.errors import ForestayError, StateError
from forestay.core.event import NEVER
from forestay.core.record import OutputRecord
from forestay.core.units import to_milliseconds
from forestay.recording import RecordedMessage, RecordingError
from forestay.rerun.catalogues import Catalogues
from forestay.rerun.divergence import Place
from forestay.rerun.durable import Durable
from forestay.rerun.event_time import Prepare
from forestay.rerun.lane import Batch, Lane, Plan
from forestay.rerun.outputs import Kind, Sink
from forestay.rerun.reading import Rows
from forestay.rerun.scores import Scores
from forestay.rerun.shelf import MissingRowsError, Shelf
from forestay.rerun.snapshots import Snapshots
from forestay.rerun.verdict import Judge
from forestay.settings import TopicSettings
from forestay_schemas import Decision, LedgerBatch, LedgerCommit, LedgerRecord, LedgerStart


class Course:
    """One partition's way through the ledger, from a start or a commit on."""

    def __init__(self, durable: Durable, lane: Lane, generation: int) -> None:
        """`generation` is that of the owner whose entries count."""
        self.durable = durable
        self.lane = lane
        self.generation = generation


class Taken(NamedTuple):
    """How much was run.

    Rows; entries by kind, those of former owners, and those from before the recorded state; decisions taken as made.
    """

    records: int = 0
    starts: int = 0
    batches: int = 0
    commits: int = 0
    ignored: int = 0
    passed_over: int = 0
    as_made: int = 0


class LedgerRun:
    """All partitions, in the order of the ledger."""

    def __init__(  # noqa: PLR0917 - what it is made of
        self,
        recordings: Rows,
        plan: Plan,
        topics: TopicSettings,
        scores: Scores,
        judge: Judge,
        sink: Sink,
        prepare: Prepare | None = None,
        catalogues: Catalogues | None = None,
    ) -> None:
        """`judge` holds what is made against what was recorded; `catalogues` has those that batches name."""
        self._catalogues = catalogues
        self.taken = Taken()
        self._recordings = recordings
        self._plan = plan
        self._topics = topics
        self._scores = scores
        self._judge = judge
        self._sink = sink
        self._prepare = prepare
        self._shelf = Shelf(recordings)
        self._courses: dict[int, Course] = {}
        #: Partitions whose entries were passed over so far.
        self._waiting: set[int] = set()
        self._snapshots = Snapshots(recordings, topics.state) if topics.state in recordings.topics else None

    def run(self, tell: Callable[[int], None]) -> None:
        """Works off the ledger.

        Raises:
            DivergenceFoundError: something is not as recorded.
            ForestayError: a recording is damaged, or the ledger is not whole.
        """
        for row in self._recordings.rows([self._topics.ledger]):
            entry = _entry(row)
            try:
                self._work_off(entry, row.offset)
            except MissingRowsError as error:
                self._judge.missing(_place(entry, row.offset), str(error))
            tell(self.taken.records)
        if self._waiting:
            raise ForestayError(
                f"no commit in the recorded ledger of partitions {sorted(self._waiting)} has the recorded state:"
                f" record {self._topics.state} while {self._topics.ledger} is recorded, or before its end"
            )
        self._judge.finish()

    def position(self, topic: str, partition: int) -> int:
        """Returns the next offset that the ledger has told of; 0 where it tells nothing of the partition."""
        course = self._courses.get(partition)
        return 0 if course is None else course.lane.core.positions.get(topic, 0)

    def _work_off(self, entry: LedgerStart | LedgerBatch | LedgerCommit, offset: int) -> None:
        course = self._courses.get(entry.partition)
        if isinstance(entry, LedgerStart):
            self._start(entry, course, offset)
        elif course is None:
            self._begin_within(entry, offset)
        elif entry.generation != course.generation:
            self._count("ignored")
        elif isinstance(entry, LedgerBatch):
            self._batch(entry, course, offset)
        else:
            self._commit(entry, course, offset)

    def _count(self, name: str, more: int = 1) -> None:
        self.taken = self.taken._replace(**{name: getattr(self.taken, name) + more})

    # -- entries -------------------------------------------------------------------------------------

    def _start(self, entry: LedgerStart, course: Course | None, offset: int) -> None:
        number = entry.partition
        if course is not None:
            durable = course.durable
        elif not entry.positions and entry.state.records == 0:
            durable = Durable()
        elif self._stands_at(entry):
            durable = self._snapshot(number)
        else:
            self._skip(entry, offset)
            return
        try:
            durable.restore(entry)
        except StateError as error:
            raise ForestayError(f"partition {number}, the start at {offset} of the ledger: {error}") from error
        lane = self._lane(number, self._named(entry))
        self._courses[number] = Course(durable, lane, entry.generation)
        self._waiting.discard(number)
        rows = self._shelf.found(self._topics.decisions, number, entry.decisions, entry.decisions_end)
        made = [_decision(row) for row in rows]
        versions = {decision.policy.version for decision in made}
        earlier = {} if self._catalogues is None else self._catalogues.among(versions)
        restored = lane.core.restore(dict(durable.users), durable.mark, made, earlier)
        self._count("starts")
        self._count("as_made", len(rows))
        place = _place(entry, offset)
        self._judge.begin(entry)
        self._judge.met(place, Kind.DECISIONS, [OutputRecord(row.key, row.value) for row in rows])
        self._judge.met(place, Kind.ACTIONS, [record_of(action) for action in restored.actions])
        self._judge.times(place, entry, lane.core)

    def _begin_within(self, entry: LedgerBatch | LedgerCommit, offset: int) -> None:
        """Begins with a commit whose state was recorded; entries before it are passed over."""
        if not isinstance(entry, LedgerCommit) or not self._stands_at(entry):
            self._skip(entry, offset)
            return
        durable = self._snapshot(entry.partition)
        lane = self._lane(entry.partition, self._paused_under(durable))
        lane.core.restore(dict(durable.users), durable.mark)
        self._judge.begin_at(entry)
        self._courses[entry.partition] = Course(durable, lane, entry.generation)
        self._waiting.discard(entry.partition)

    def _stands_at(self, entry: LedgerStart | LedgerCommit) -> bool:
        """Says whether the recorded state is that of this entry."""
        mark = None if self._snapshots is None else self._snapshots.mark(entry.partition)
        return mark is not None and (mark.positions, mark.decisions) == (entry.positions, entry.decisions)

    def _snapshot(self, partition: int) -> Durable:
        return Durable() if self._snapshots is None else self._snapshots.take(partition)

    def _skip(self, entry: LedgerStart | LedgerBatch | LedgerCommit, offset: int) -> None:
        """Passes over an entry from before the recorded state.

        Raises:
            ForestayError: there is none that is to come.
        """
        if self._snapshots is None or self._snapshots.mark(entry.partition) is None:
            raise ForestayError(
                f"the ledger of partition {entry.partition} is recorded from offset {offset} on, where it had state"
                f" already: record {self._topics.state} too, from its beginning to a moment after the ledger's first"
                " commit, or all topics from where the state began"
            )
        self._count("passed_over")
        self._waiting.add(entry.partition)

    def _batch(self, entry: LedgerBatch, course: Course, offset: int) -> None:
        place, lane, topic = _place(entry, offset), course.lane, entry.topic
        self._judge.equal(place, "begin", entry.begin, lane.core.positions.get(topic, 0))
        rows = self._shelf.take(topic, entry.partition, entry.begin, entry.end, more=entry.more)
        shop = self._named(entry)
        if shop is not None and lane.core.version != entry.catalogue:
            lane.core.adopt(shop)
        if self._prepare is not None:
            self._prepare(topic, rows)
        applied = lane.apply(Batch(topic, rows, _milliseconds(entry.now)))
        self._count("batches")
        self._count("records", applied.taken)
        stamp = ModelIdentity(entry.model.name, entry.model.version, entry.model.horizon_days)
        answers = self._scores.answer(applied.situations)
        # Without an answer, a decision bears the horizon of the model that was asked.
        made = lane.settle([one if one.probability is not None else Answer(None, stamp) for one in answers])
        for one in made:
            self._sink.take(one)
        self._judge.equal(place, "end", entry.end, lane.core.positions[topic])
        self._judge.batch(place, entry, {one.kind: one.records for one in made})
        self._judge.times(place, entry, lane.core)

    def _lane(self, number: int, shop: Catalogue | None) -> Lane:
        return Lane(self._plan if shop is None else self._plan._replace(catalogue=shop), number)

    def _paused_under(self, durable: Durable) -> Catalogue | None:
        """Returns the catalogue whose automatic pauses a state has, None if it has none."""
        pauses = None if durable.mark is None else durable.mark.pauses
        return None if pauses is None or self._catalogues is None else self._catalogues.get(pauses.version)

    def _named(self, entry: LedgerStart | LedgerBatch) -> Catalogue | None:
        """Returns the catalogue an entry names, None if that of the settings must do."""
        if self._catalogues is None or entry.catalogue is None:
            return None
        found = self._catalogues.get(entry.catalogue)
        if found is None:
            self._judge.lacks(entry.catalogue)
        return found

    def _commit(self, entry: LedgerCommit, course: Course, offset: int) -> None:
        place, lane = _place(entry, offset), course.lane
        state = lane.checkpoint(entry.decisions, entry.generation)
        lane.core.durable()
        lane.core.exchange.durable()
        self._count("commits")
        self._judge.commit(place, entry, lane.core, state)
        course.durable.commit(state)
        self._give_up(entry.partition, course.durable)

    def _give_up(self, number: int, durable: Durable) -> None:
        """Lets go of rows that no worker can go back to."""
        for topic, position in durable.positions.items():
            self._shelf.give_up(topic, number, position)
        self._shelf.give_up(self._topics.decisions, number, durable.decisions)


def _entry(row: RecordedMessage) -> LedgerStart | LedgerBatch | LedgerCommit:
    try:
        return LedgerRecord.model_validate_json(row.value or b"").root
    except ValidationError as error:
        raise RecordingError(
            f"{row.topic}-{row.partition}@{row.offset} is no entry of the ledger: {error}"
        ) from error


def _decision(row: RecordedMessage) -> Decision:
    try:
        return Decision.model_validate_json(row.value or b"")
    except ValidationError as error:
        raise RecordingError(f"{row.topic}-{row.partition}@{row.offset} is no decision: {error}") from error


def _place(entry: LedgerStart | LedgerBatch | LedgerCommit, offset: int) -> Place:
    place = Place(entry.partition, offset, entry.kind)
    if isinstance(entry, LedgerBatch):
        return place._replace(topic=entry.topic, begin=entry.begin, end=entry.end)
    return place


def _milliseconds(moment: datetime | None) -> int:
    return NEVER if moment is None else to_milliseconds(moment)
