"""Several partitions that merge ids and share budgets, without Kafka: logs in memory, lives that end anywhere.

Follows shell/pipeline.py: the outputs of a batch become durable record by record while a commit may be under way,
users first and the mark last; when all of it is durable, what waited for that is written. A life is a generator
that stops after each record written: dropping it there is a crash.
"""

from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from importlib.metadata import version
from random import Random
from typing import Any, Final, NamedTuple

from support.builders import DIGEST, MODEL, SOURCES, TOPIC, Click, answered, source
from support.fakes import Model

from forestay.core.applied import Restored
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import record_of
from forestay.core.event import NEVER
from forestay.core.ledger import Found, Ledger, Taken, users_digest
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord, Record, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY, decode_mark, decode_user
from forestay.core.state.user_state import UserState
from forestay_schemas import Decision

IDENTITY: Final = SOURCES.identity
BUDGET: Final = SOURCES.budget
#: Far beyond what any world needs to come to rest.
_MOST_STEPS: Final = 100_000

#: What a life says after each step: whether it did anything.
Steps = Generator[bool, None, None]


class Place(NamedTuple):
    """A topic's partition."""

    topic: str
    number: int


class World:
    """All that is durable, and which partition an id is in; `placed` names that of every id."""

    def __init__(
        self, placed: Mapping[str, int], rules: Rules, shop: Catalogue, model: Model, random: Random
    ) -> None:
        self.placed = placed
        self.numbers = sorted(set(placed.values()))
        #: Some may have no users.
        self.partitions = self.numbers[-1] + 1
        self.rules = rules
        self.shop = shop
        self.model = model
        self.random = random
        self.logs: dict[Place, list[OutputRecord]] = defaultdict(list)
        self.crashes = 0
        self.repeated_moves = 0

    def send(self, clicks: Iterable[Click]) -> None:
        """Puts events on the clickstream."""
        for click in clicks:
            record = source(click)
            self.logs[Place(TOPIC, self.placed[click["user_id"]])].append(OutputRecord(record.key, record.value))

    def unread(self, core: Partition, topic: str) -> list[Record]:
        """Returns what a partition has not read of a source topic."""
        log, start = self.logs[Place(topic, core.number)], core.positions.get(topic, 0)
        return [
            SourceRecord(topic, core.number, offset, 2**52, log[offset].key, log[offset].value)
            for offset in range(start, len(log))
        ]

    def stepped(self) -> None:
        """Called after each step of any partition, for those who look on."""

    def run(self, crashes: int, *, orderly: bool = False) -> None:
        """Lets all partitions work until nothing is left, each crashing at random, `crashes` times in all.

        `orderly`: at the end all are told to stop, as before an update.
        """
        lives = {number: Life(self, number) for number in self.numbers}
        steps = {number: life.run() for number, life in lives.items()}
        idle: set[int] = set()
        left = [self.random.randint(1, 60) for _ in range(crashes)]
        for _ in range(_MOST_STEPS):
            number = self.random.choice(self.numbers)
            if left and (left[-1] == 0 or len(idle) == len(self.numbers)):
                left.pop()
                self.crashes += 1
                # Two partitions of one worker die together.
                dead = {number, self.random.choice(self.numbers)}
                lives |= {one: Life(self, one) for one in dead}
                steps |= {one: lives[one].run() for one in dead}
                idle.clear()
                continue
            if left:
                left[-1] -= 1
            if next(steps[number]):
                idle.clear()
            else:
                idle.add(number)
            self.stepped()
            if not left and len(idle) == len(self.numbers):
                break
        else:
            raise AssertionError("the partitions never come to rest")
        if orderly:
            for life in lives.values():
                for _ in life.stop():
                    pass

    def recover(self, number: int) -> tuple[dict[str, bytes], PartitionMark | None, list[Decision]]:
        """Returns a partition's users, mark, and decisions beyond the mark."""
        latest = {record.key: record.value for record in self.logs[Place("state", number)]}
        marked = latest.pop(MARK_KEY, None)
        mark = None if marked is None else decode_mark(marked)
        users = {(key or b"").decode(): value for key, value in latest.items() if value is not None}
        return users, mark, self.decisions(number)[mark.decisions if mark else 0 :]

    def decisions(self, number: int) -> list[Decision]:
        """Returns a partition's decision log."""
        log = self.logs[Place("decisions", number)]
        return [Decision.model_validate_json(record.value or b"") for record in log]

    def states(self) -> dict[str, UserState]:
        """Returns the durable state of every id."""
        return {
            name: decode_user(record, self.rules.features)
            for number in self.numbers
            for name, record in self.recover(number)[0].items()
        }


class Life:
    """One worker's life over one partition."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.core = Partition(number, SOURCES, world.rules, world.shop, partitions=world.partitions)
        users, mark, made = world.recover(number)
        since = mark.decisions if mark else 0
        self._ledger = Ledger(self.core, 1, DIGEST)
        found = Found(users_digest(users), range(since, since + len(made)))
        self._restored: Restored = self.core.restore(users, mark, made)
        self._ledger.start(found, version("forestay"))
        world.repeated_moves += sum(b"move" in (record.value or b"")[:8] for record in self._restored.identity)
        self._committed = {} if self._restored.identity or self.core.has_to_tell else dict(self.core.positions)
        self._state: deque[tuple[str, OutputRecord]] = deque()
        self._committing = False

    def run(self) -> Steps:
        """Works without end; says False whenever there is nothing to do."""
        random = self.world.random
        for action in self._restored.actions:
            yield from self._write("actions", record_of(action))
        yield from self._write_identity(self._restored.identity)
        while True:
            sources = (TOPIC, IDENTITY, BUDGET)
            ready = [(topic, left) for topic in sources if (left := self.world.unread(self.core, topic))]
            if ready and random.random() < 0.8:
                topic, left = random.choice(ready)
                yield from self._batch(topic, left[: random.randint(1, 8)])
            elif self._committing or self.core.positions != self._committed:
                yield from self._finish_commit()
                self._begin_commit()
                yield True
            else:
                yield bool(ready)

    def stop(self) -> Steps:
        """The last barrier."""
        yield from self._finish_commit()
        self._begin_commit()
        yield from self._finish_commit()

    def _batch(self, topic: str, records: Sequence[Record]) -> Steps:
        begin = self.core.positions.get(topic, 0)
        applied = self.core.apply(topic, records)
        answers = {one.decision_id: self.world.model(one.input) for one in applied.situations}
        settled = self.core.settle(applied.situations, answered(answers), MODEL)
        made = {
            "decisions": [*map(record_of, settled.decisions)],
            "actions": [*map(record_of, settled.actions)],
            "dead_letters": applied.dead_letters,
            "outcomes": settled.outcomes,
        }
        self._ledger.batch(Taken(topic, begin, self.core.positions[topic], more=False, now=NEVER), MODEL, made)
        outputs: list[tuple[str, Any]] = [("dead_letters", letter) for letter in applied.dead_letters]
        outputs += [("decisions", one) for one in made["decisions"]]
        outputs += [("outcomes", one) for one in settled.outcomes]
        outputs.insert(self.world.random.randint(0, len(outputs)), ("identity", applied.identity))
        for kind, output in [*outputs, *(("actions", one) for one in made["actions"])]:
            if kind == "identity":
                yield from self._write_identity(output)
            else:
                yield from self._write(kind, output)
        yield True

    def _write_identity(self, records: Sequence[OutputRecord]) -> Steps:
        by_partition: dict[int, list[OutputRecord]] = defaultdict(list)
        for record in records:
            by_partition[self.world.placed[(record.key or b"").decode()]].append(record)
        for number, own in by_partition.items():
            # A producer that is not idempotent may write a batch twice.
            for record in own * self.world.random.choice([1, 1, 1, 2]):
                self.world.logs[Place(IDENTITY, number)].append(record)
                yield from self._travel()

    def _write(self, kind: str, record: OutputRecord) -> Steps:
        self.world.logs[Place(kind, self.core.number)].append(record)
        yield from self._travel()

    def _travel(self) -> Steps:
        """A crash may come here; and then a commit under way goes on a little."""
        yield True
        yield from self._write_state(self.world.random.randint(0, min(2, len(self._state))))

    def _begin_commit(self) -> None:
        if self.core.positions == self._committed:
            return
        end = len(self.world.logs[Place("decisions", self.core.number)])
        state = self.core.checkpoint(end, 1)
        self._state.extend(("ledger", entry) for entry in self._ledger.commit(end, state))
        self._state.extend(("state", record) for record in state)
        self._committed = dict(self.core.positions)
        self._committing = True

    def _finish_commit(self) -> Steps:
        if self._committing:
            yield from self._write_state(len(self._state))
            self._committing = False
            yield from self._write_identity(self.core.durable())
            for letter in self.core.exchange.durable():
                for record in [letter.record] * self.world.random.choice([1, 1, 1, 2]):
                    self.world.logs[Place(BUDGET, letter.partition)].append(record)
                    yield from self._travel()

    def _write_state(self, count: int) -> Steps:
        for _ in range(count):
            topic, record = self._state.popleft()
            self.world.logs[Place(topic, self.core.number)].append(record)
            yield True
