"""What the watch costs an event, and how often it cries wolf over real rows in which nothing changes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray
from support.builders import SOURCES, catalogue
from support.datasets import Share, online_retail

from forestay.core.applied import Applied
from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.model_input import ModelInput, stack
from forestay.core.event import NEVER
from forestay.core.partition import Partition
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.survival import Survival
from forestay.core.units import HOUR
from forestay.core.watch.alarms import Alarms
from forestay.core.watch.columns import WATCHED
from forestay.core.watch.findings import judge
from forestay.core.watch.learning import Learning
from forestay.core.watch.reference import Reference, reference_of
from forestay.core.watch.seen import Seen
from forestay.core.watch.tally import Row, Tally, rows_of

_MODEL: Final = ModelIdentity("made up", "1", horizon_days=60)
_CURVE: Final = Survival((24,), (9_500,))
#: Rows that make the reference of the measurement.
_LEARNED: Final = 2_000
_JUDGED: Final = 50
_ALL: Final = Share()


@dataclass(frozen=True)
class Overhead:
    """CPU microseconds: of the core and of the watch an event, counting of fields left out; of one judgement."""

    batch: int
    events: int
    scores: int
    core_us: float
    watch_us: float
    judgement_us: float


@dataclass(frozen=True)
class Wolf:
    """Alarms over months of rows drawn at random from real ones; `seed` is of the drawing."""

    seed: int
    columns: int
    months: int
    users_a_day: int
    alarms: int
    most_of_a_column_and_month: int


def records(count: int, share: Share = _ALL) -> list[SourceRecord]:
    """Returns the first so many records of a share of the shipped recording, as of one partition."""
    return [fed.record for fed in islice(online_retail(share), count)]


def _partition() -> Partition:
    return Partition(0, SOURCES, Rules(), catalogue())


def _batches(fed: list[SourceRecord], size: int, core: Partition) -> Iterator[Applied]:
    for start in range(0, len(fed), size):
        yield core.apply(SOURCES.clickstream, fed[start : start + size], NEVER)


def overhead(fed: list[SourceRecord], size: int, seed: int = 1) -> Overhead:
    """Measures batches of `size` records; a reference of the first rows has all columns counted."""
    core, random = _partition(), np.random.default_rng(seed)
    tally, learning, reference = Tally(None), Learning(_LEARNED), None
    spent, events, scores = 0.0, 0, 0
    began = time.process_time()
    for applied in _batches(fed, size, core):
        answers = [Answer(float(score), _MODEL, (), _CURVE) for score in random.uniform(size=len(applied.situations))]
        core.settle(applied.situations, {}, _MODEL)
        begun = time.process_time()
        rows = rows_of(applied.situations, answers)
        tally.take(core.clock, applied.seen, rows)
        spent += time.process_time() - begun
        events, scores = events + applied.taken, scores + len(rows)
        if reference is None:
            learning.take(rows)
            if learning.is_done:
                reference = Reference(learning.reference())
                tally.refer(reference)
    whole = time.process_time() - began
    begun = time.process_time()
    for _ in range(_JUDGED):
        judge([tally], reference)
    judged = (time.process_time() - begun) / _JUDGED
    return Overhead(size, events, scores, (whole - spent) / events * 1e6, spent / events * 1e6, judged * 1e6)


def field_counting(record: SourceRecord, calls: int = 200_000) -> float:
    """Returns what counting the fields of one event takes, in CPU microseconds."""
    core = _partition()
    seen = Seen()
    event = core._decode(record, NEVER)  # noqa: SLF001 - a real event, made as it is made there
    begun = time.process_time()
    for _ in range(calls):
        seen.see(event)
    return (time.process_time() - begun) / calls * 1e6


def wolf(fed: list[SourceRecord], seed: int, months: int = 12, users_a_day: int = 480) -> Wolf:
    """Counts false alarms: every hour rows are drawn from the real ones, and judged."""
    core, random = _partition(), np.random.default_rng(seed)
    inputs = [one.input for applied in _batches(fed, 500, core) for one in applied.situations]
    pool, scores = stack(inputs), random.beta(2, 5, len(inputs))
    half = random.permutation(len(inputs)) < len(inputs) // 2
    reference = Reference(_reference(pool, scores, half))
    drawn, alarms_of = np.flatnonzero(~half), defaultdict[tuple[str, int], int](int)
    tally, alarms, user = Tally(reference), Alarms(), 0
    for hour in range(months * 30 * 24):
        rows = []
        for at in random.choice(drawn, users_a_day // 24):
            user += 1
            rows.append(Row(f"u{user}", hour * HOUR, hour * HOUR, inputs[at], float(scores[at]), None))
        tally.take(hour * HOUR, Seen(), rows)
        for finding in alarms.take(hour * HOUR, judge([tally], reference).findings).begun:
            alarms_of[finding.of, hour // 720] += 1
    most = max(alarms_of.values(), default=0)
    return Wolf(seed, len(reference.columns), months, users_a_day, sum(alarms_of.values()), most)


def _reference(pool: ModelInput, scores: NDArray[np.float64], mask: NDArray[np.bool_]) -> str:
    chosen = ModelInput(pool.step_tokens[mask], pool.step_numbers[mask], pool.features[mask])
    return reference_of(chosen, scores[mask], moments="scored", watched=WATCHED)
