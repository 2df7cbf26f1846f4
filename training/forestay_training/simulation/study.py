"""Policies in made-up worlds, seed by seed: regret over time, whether intervals hold the truth, pacing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, Final, NamedTuple

import numpy as np

from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.core.policy.posterior import SIGNALS
from forestay.core.rewards.reward import FUNCTION
from forestay_training.offpolicy.assess import Way, assess
from forestay_training.offpolicy.catalogue_policy import reweigh
from forestay_training.offpolicy.own_log import own_log
from forestay_training.offpolicy.records import Records
from forestay_training.policy.fitting import fit
from forestay_training.simulation.closed_loop import Judged, Run, run
from forestay_training.simulation.effects import Effects
from forestay_training.simulation.pacing import Paced, paced
from forestay_training.simulation.rhythm import Rhythm
from forestay_training.simulation.world import World

#: A policy is fitted again, and the regret told, by periods of so many days.
PERIOD: Final = 28
#: What the shop believes; drawn evenly; learned from what came.
POLICIES: Final = ("believed", "random", "learner")
#: Money a day of the paced run, as a share of what is spent where nothing limits it.
_BUDGETED: Final = 0.5
_EXPLORING: Final = 0.06
_PRIOR_DECISIONS: Final = 10.0
_DRAWS: Final = 300
#: The world of the log that candidates are valued by: other users, other luck than those a learner has learned from.
_ELSEWHERE: Final = 1 << 32


class Size(NamedTuple):
    """Users and days of a world, and the seeds of the worlds."""

    users: int
    days: int
    seeds: Sequence[int]


class Covered(NamedTuple):
    """Of one log and one candidate: the true value, and the estimators' values and intervals."""

    candidate: str
    truth: float
    estimates: Mapping[str, tuple[float, float, float]]


class Seen(NamedTuple):
    """What one seed shows: by policy and period decisions, regret, gain above nothing and the most there was."""

    seed: int
    orders: int
    periods: Mapping[str, list[tuple[int, float, float, float]]]
    covered: list[Covered]
    paced: Paced


Tell = Callable[[str, int, int | None], None]


def study(rhythm: Rhythm, effects: Effects, size: Size, workers: int, tell: Tell) -> list[Seen]:
    """Returns what each seed shows, in the order of the seeds; so many worlds at a time, each in a process."""
    found: dict[int, Seen] = {}
    tell("worlds", 0, len(size.seeds))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(one_seed, rhythm, effects, size, seed) for seed in size.seeds]
        for done in as_completed(waiting):
            seen = done.result()
            found[seen.seed] = seen
            tell("worlds", len(found), len(size.seeds))
    return [found[seed] for seed in size.seeds]


def one_seed(rhythm: Rhythm, effects: Effects, size: Size, seed: int) -> Seen:
    """Returns what one world shows under each policy."""
    runs: dict[str, Run] = {}
    shipped: list[Catalogue] = []
    for name in POLICIES:
        learn = _learning(effects, shipped) if name == "learner" else None
        world = World(rhythm, effects, size.users, size.days, seed)
        runs[name] = run(world, effects, _catalogue(effects, name), size.days, learn, PERIOD)
    candidates = {"believed": _catalogue(effects, "believed")}
    if shipped:
        candidates["learner"] = shipped[-1]
    daily = max(1, round(100 * _BUDGETED * sum(one.spent for one in runs["believed"].judged) / size.days))
    world = World(rhythm, effects, size.users, size.days, seed)
    limited = run(world, effects, _catalogue(effects, "believed", daily), size.days, None, PERIOD)
    elsewhere = World(rhythm, effects, size.users, size.days, seed + _ELSEWHERE)
    logged = run(elsewhere, effects, _catalogue(effects, "random"), size.days, None, PERIOD)
    return Seen(
        seed,
        runs["believed"].orders,
        {name: list(_periods(one.judged, size.days)) for name, one in runs.items()},
        [_covered(logged, name, candidate, seed) for name, candidate in candidates.items()],
        paced(limited.judged, daily),
    )


def _catalogue(effects: Effects, name: str, daily: int | None = None) -> Catalogue:
    if name == "believed":
        return effects.catalogue({"exploration": 0.05}, daily)
    learned = {
        "signals": SIGNALS,
        "function": FUNCTION,
        "decisions": 0,
        "prior_deviation": effects.doubt,
        "heads": {},
    }
    exploration = 1.0 if name == "random" else _EXPLORING
    policy = {"kind": "linear_thompson", "exploration": exploration, "posterior": learned}
    return effects.catalogue(policy, daily)


def _learning(effects: Effects, shipped: list[Catalogue]) -> Callable[[Records], Catalogue]:
    """Returns what fits the learner to its log, as `forestay policy fit` does; catalogues are added to `shipped`."""

    def learn(records: Records) -> Catalogue:
        believed = _catalogue(effects, "learner")
        try:
            posterior = fit(own_log(records), believed, _PRIOR_DECISIONS).posterior
        except ForestayError:
            # Too little has come of too few decisions: as a shop would, it goes on with what it has.
            return shipped[-1] if shipped else believed
        policy = {
            "kind": "linear_thompson",
            "exploration": _EXPLORING,
            "posterior": posterior.model_dump(mode="json"),
        }
        shipped.append(effects.catalogue(policy, None))
        return shipped[-1]

    return learn


def _periods(judged: Sequence[Judged], days: int) -> Iterator[tuple[int, float, float, float]]:
    """Yields for each period its decisions, and a decision's regret, gain above nothing, and the most there was."""
    for begin in range(0, days, PERIOD):
        part = [one for one in judged if begin <= one.day < begin + PERIOD]
        if part:
            sums = np.array([(one.regret, one.gain, one.regret + one.gain) for one in part]).mean(axis=0)
            yield (len(part), *sums.tolist())
        else:
            yield (0, 0.0, 0.0, 0.0)


def _covered(logged: Run, name: str, candidate: Catalogue, seed: int) -> Covered:
    """Values a candidate by the log of the policy that draws evenly, and by the truth of the same decisions."""
    own = own_log(logged.records)
    log, target = reweigh(own.log, own.decisions, candidate)
    values = {one.decision_id: one.values for one in logged.judged}
    truth = np.zeros(target.shape)
    for row, decision in enumerate(own.decisions):
        for column, action in enumerate(log.actions):
            truth[row, column] = values[decision.decision_id].get(action, 0.0)
    way = Way("dr", "linear", _DRAWS, seed, None)
    told: dict[str, Any] = assess(log, target, way, lambda *_said: None)["estimates"]
    estimates = {name: (one["value"], *one["interval"]) for name, one in told.items() if one["interval"] is not None}
    return Covered(name, float((target * truth).sum(axis=1).mean()), estimates)
