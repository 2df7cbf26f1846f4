"""Workers that crash, without Kafka: logs in memory, a life that ends at any record written, and recovery.

Follows shell/pipeline.py and shell/recovery/recover.py: a batch's dead letters and decisions become durable, then its
actions; state travels beside the next batches, users first and the mark last. A crash may come after any of
these records. The ledger's entries go before the state of their commit.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from random import Random
from typing import Final

from support.builders import CLOCK_TOPIC, DIGEST, FEEDBACK_TOPIC, MODEL, SOURCES, TOPIC, answered
from support.fakes import Model

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import record_of
from forestay.core.event import NEVER
from forestay.core.ledger import Found, Ledger, Taken, users_digest
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay_schemas import Decision, RetentionAction

DEAD_LETTERS: Final = "dead_letters"
OUTCOMES: Final = "outcomes"
DECISIONS: Final = "decisions"
ACTIONS: Final = "actions"
STATE: Final = "state"
LEDGER: Final = "ledger"


class CrashError(Exception):
    """The process is gone."""


class Logs:
    """What is durable, by topic; `crash_in` records from now the process is gone."""

    def __init__(self) -> None:
        self.topics: dict[str, list[OutputRecord]] = defaultdict(list)
        self.crash_in: int | None = None

    def append(self, topic: str, record: OutputRecord) -> None:
        if self.crash_in == 0:
            raise CrashError
        self.crash_in = None if self.crash_in is None else self.crash_in - 1
        self.topics[topic].append(record)

    def recover(self) -> tuple[dict[str, bytes], PartitionMark | None, list[Decision]]:
        """Returns users, mark, and the decisions beyond the mark."""
        latest = {record.key: record.value for record in self.topics[STATE]}
        marked = latest.pop(MARK_KEY, None)
        mark = None if marked is None else decode_mark(marked)
        users = {(key or b"").decode(): value for key, value in latest.items() if value is not None}
        return users, mark, self.decisions()[mark.decisions if mark else 0 :]

    def decisions(self) -> list[Decision]:
        return [Decision.model_validate_json(record.value or b"") for record in self.topics[DECISIONS]]

    def actions(self) -> list[RetentionAction]:
        return [RetentionAction.model_validate_json(record.value or b"") for record in self.topics[ACTIONS]]


class Pushed:
    """The catalogues of a topic, of which the first so many are there by now: lives come and go, they stay."""

    def __init__(self, catalogues: Sequence[Catalogue]) -> None:
        self.catalogues = catalogues
        self._there = 1

    @property
    def current(self) -> Catalogue:
        return self.catalogues[self._there - 1]

    @property
    def has_more(self) -> bool:
        return self._there < len(self.catalogues)

    def next(self) -> None:
        self._there += 1

    def earlier(self) -> dict[str, Catalogue]:
        return {one.digest(): one for one in self.catalogues[: self._there]}


class Life:
    """One worker's life over one partition, from recovery to the end of the sources or to a crash."""

    def __init__(
        self,
        logs: Logs,
        rules: Rules,
        catalogue: Catalogue | Pushed,
        model: Model,
        random: Random,
    ) -> None:
        self._pushed = catalogue if isinstance(catalogue, Pushed) else Pushed([catalogue])
        self.core = Partition(0, SOURCES, rules, self._pushed.current)
        users, mark, made = logs.recover()
        since = mark.decisions if mark else 0
        found = Found(users_digest(users), range(since, since + len(made)))
        self._repeated = self.core.restore(users, mark, made, self._pushed.earlier()).actions
        self._logs = logs
        self._model = model
        self._random = random
        self._generation = random.randrange(100)
        self._ledger = Ledger(self.core, self._generation, DIGEST)
        self._ledger.start(found, version("forestay"))
        #: The ledger's entries and the state of the commit under way.
        self._state: deque[tuple[str, OutputRecord]] = deque()

    def run(self, sources: Sequence[SourceRecord], *, reorder: bool) -> None:
        """Works the sources off; `reorder`: the two topics come interleaved as chance has it."""
        for action in self._repeated:
            self._write(ACTIONS, record_of(action))
        for batch in self._batches(sources, reorder):
            left = batch
            while left:
                left = left[self._batch(left) :]
            if self._random.random() < 0.3:
                self._commit()
        self._commit()
        self._write_state(len(self._state))

    def _batches(self, sources: Sequence[SourceRecord], reorder: bool) -> Iterator[list[SourceRecord]]:
        left = [record for record in sources if record.offset >= self.core.positions.get(record.topic, 0)]
        if reorder:
            left = list(_interleaved(left, self._random))
        while left:
            # A batch holds one topic's records.
            most = next((n for n, record in enumerate(left) if record.topic != left[0].topic), len(left))
            size = min(most, self._random.randint(1, 12))
            yield left[:size]
            left = left[size:]

    def _batch(self, batch: Sequence[SourceRecord]) -> int:
        """Returns how many records it took: what is held back may have to be decided before the next."""
        if self._pushed.has_more and self._random.random() < 0.2:
            self._pushed.next()
            self.core.adopt(self._pushed.current)
        topic, begin = batch[0].topic, self.core.positions.get(batch[0].topic, 0)
        applied = self.core.apply(topic, batch)
        answers = {s.decision_id: self._model(s.input) for s in applied.situations}
        settled = self.core.settle(applied.situations, answered(answers), MODEL)
        made = {
            DECISIONS: [*map(record_of, settled.decisions)],
            ACTIONS: [*map(record_of, settled.actions)],
            DEAD_LETTERS: applied.dead_letters,
            OUTCOMES: settled.outcomes,
        }
        taken = Taken(topic, begin, self.core.positions[topic], applied.taken < len(batch), NEVER)
        self._ledger.batch(taken, MODEL, made)
        for role in (DEAD_LETTERS, OUTCOMES, DECISIONS, ACTIONS):
            for record in made[role]:
                self._write(role, record)
        return applied.taken

    def _write(self, topic: str, record: OutputRecord) -> None:
        """Writes a record while a commit may be under way."""
        self._write_state(self._random.randint(0, min(3, len(self._state))))
        self._logs.append(topic, record)

    def _commit(self) -> None:
        self._write_state(len(self._state))
        end = len(self._logs.topics[DECISIONS])
        state = self.core.checkpoint(end, self._generation)
        self._state.extend((LEDGER, entry) for entry in self._ledger.commit(end, state))
        self._state.extend((STATE, record) for record in state)

    def _write_state(self, count: int) -> None:
        for _ in range(count):
            self._logs.append(*self._state.popleft())


def _interleaved(records: Sequence[SourceRecord], random: Random) -> Iterator[SourceRecord]:
    """Merges the topics anew, each in its own order."""
    topics = (TOPIC, CLOCK_TOPIC, FEEDBACK_TOPIC)
    queues = [deque(record for record in records if record.topic == topic) for topic in topics]
    while any(queues):
        yield random.choice([queue for queue in queues if queue]).popleft()
