"""What a run showed, as one record: printed, written as JSON, and the source of the report."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from forestay.demo.books import Books
from forestay.demo.harvest import Harvest
from forestay.demo.latency import Percentiles, SourceTimes, by_rung, latencies, percentiles
from forestay.output_reading import Action, SeenAction, SeenDecision

#: How many actions the summary shows.
_SAMPLES: Final = 6

_Seen = TypeVar("_Seen", SeenDecision, SeenAction)


class RecordingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was replayed: `events` of the `recorded` ones in the file, from `first` to `last` in event time."""

    name: str
    description: str
    credit: str
    licence: str
    recorded: int
    events: int
    first: datetime
    last: datetime


class Phase(msgspec.Struct, frozen=True):
    """A part of the replay: records sent, and seconds from the first sent to the last one's commit."""

    events: int
    seconds: float

    @property
    def rate(self) -> float:
        """Returns events a second."""
        return self.events / self.seconds if self.seconds > 0 else 0.0


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the served model says of itself."""

    name: str
    version: str
    horizon_days: int
    trained_until: datetime | None


class TrainingSplit(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the replayed events the model was trained on: those before `until`."""

    until: datetime
    seen: int
    unseen: int
    steady_part_unseen: bool


class LatencyFacts(msgspec.Struct, frozen=True):
    """Milliseconds from event to record, by Kafka's times, and from event to a consumer that has read it."""

    to_record: Percentiles | None
    to_consumer: Percentiles | None


class KindFacts(msgspec.Struct, frozen=True):
    """Actions of one kind and what they cost together."""

    count: int
    cost: float


class BookLine(msgspec.Struct, frozen=True):
    """A line of the books."""

    name: str
    expected: int
    found: int
    balanced: bool
    note: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it; `seconds` from the start of the broker to the end of the books.

    `core` is the form the core ran in, and why; past `deadline_seconds` the ladder's lower rungs answer.
    """

    balanced: bool
    seconds: float
    recording: RecordingFacts
    model: ModelFacts | None
    training: TrainingSplit | None
    throughput: Phase
    events_per_second: float
    steady: Phase
    action_latency: LatencyFacts
    decision_latency: LatencyFacts
    decision_latency_by_rung: dict[str, LatencyFacts]
    users: int
    decisions: int
    scores_by_rung: dict[str, int]
    scores_by_trigger: dict[str, int]
    actions: int
    actions_by_kind: dict[str, KindFacts]
    cost: float
    currency: str
    holdout_users: int
    holdout_decisions: int
    suppressed: dict[str, int]
    dead_letters: dict[str, int]
    books: list[BookLine]
    repeated: int
    samples: list[Action]
    core: str
    deadline_seconds: float
    worker_stages: str
    report: str


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How the run went, beside what the topics hold.

    `sent` holds the Kafka times of the steady part, by partition and offset of the clickstream.
    """

    recording: RecordingFacts
    model: ModelFacts | None
    training: TrainingSplit | None
    fast: Phase
    steady: Phase
    sent: SourceTimes
    clickstream: str
    currency: str
    seconds: float
    core: str
    deadline_seconds: float
    worker_stages: str
    report: str


def summarise(course: Course, harvest: Harvest, books: Books) -> Summary:
    """Returns the summary of a run."""
    decisions, actions = _first(harvest.decisions), _first(harvest.actions)
    held = [decision.record for decision in decisions if decision.record.holdout]
    return Summary(
        balanced=books.balance,
        seconds=round(course.seconds, 3),
        recording=course.recording,
        model=course.model,
        training=course.training,
        throughput=course.fast,
        events_per_second=round(course.fast.rate, 1),
        steady=course.steady,
        action_latency=_latency(actions, course),
        decision_latency=_latency(decisions, course),
        decision_latency_by_rung={
            rung: facts
            for rung, group in by_rung(decisions).items()
            if (facts := _latency(group, course)).to_record is not None
        },
        users=harvest.users,
        decisions=len(decisions),
        scores_by_rung=_counted(seen.record.churn.rung or "none" for seen in decisions),
        scores_by_trigger=_counted(seen.record.trigger.kind for seen in decisions),
        actions=len(actions),
        actions_by_kind=_kinds(seen.record for seen in actions),
        cost=round(sum(seen.record.cost for seen in actions), 2),
        currency=course.currency,
        holdout_users=len({decision.user_id for decision in held}),
        holdout_decisions=len(held),
        suppressed=_counted(gone.code for seen in decisions for gone in seen.record.suppressed),
        dead_letters=_counted(letter.code for letter in harvest.dead_letters),
        books=[BookLine(*line) for line in books.lines],
        repeated=books.repeated,
        samples=sample([seen.record for seen in actions]),
        core=course.core,
        deadline_seconds=course.deadline_seconds,
        worker_stages=course.worker_stages,
        report=course.report,
    )


def _first(seen: Iterable[_Seen]) -> list[_Seen]:
    """Returns the first record of each id: one repeated after a crash is one."""
    first: dict[str, _Seen] = {}
    for item in seen:
        record = item.record
        name = record.action_id if isinstance(record, Action) else record.decision_id
        first.setdefault(name, item)
    return list(first.values())


def _latency(seen: Iterable[SeenDecision | SeenAction], course: Course) -> LatencyFacts:
    found = latencies(seen, course.clickstream, course.sent)
    return LatencyFacts(percentiles(found.to_record), percentiles(found.to_consumer))


def _counted(names: Iterable[str]) -> dict[str, int]:
    """Returns counts by name, the largest first."""
    return dict(sorted(Counter(str(name) for name in names).items(), key=lambda item: (-item[1], item[0])))


def _kinds(actions: Iterable[Action]) -> dict[str, KindFacts]:
    costs: dict[str, list[float]] = defaultdict(list)
    for action in actions:
        costs[str(action.kind)].append(action.cost)
    return {
        kind: KindFacts(len(spent), round(sum(spent), 2))
        for kind, spent in sorted(costs.items(), key=lambda item: (-len(item[1]), item[0]))
    }


def sample(actions: Sequence[Action]) -> list[Action]:
    """Returns a handful of actions, the same for the same actions: the typical one of each kind, then others.

    Typical is the one with the median churn probability of its kind.
    """
    kinds: dict[str, list[Action]] = defaultdict(list)
    for action in sorted(actions, key=lambda action: (action.churn.probability or 0.0, action.action_id)):
        kinds[str(action.kind)].append(action)
    chosen: list[Action] = []
    for place in (0.5, 0.9, 0.1):
        for _, group in sorted(kinds.items()):
            candidate = group[min(int(len(group) * place), len(group) - 1)]
            if candidate not in chosen and len(chosen) < _SAMPLES:
                chosen.append(candidate)
    return sorted(chosen, key=lambda action: (action.decided_at, action.action_id))
