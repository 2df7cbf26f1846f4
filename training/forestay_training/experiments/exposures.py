"""Who was exposed to an experiment, when, and what came of it: one row a user.

A user is exposed at the first decision that the arms would not all have made alike. Up to it nothing the arms do has
reached the user, so this rule picks the same users in every arm, and leaves out those an experiment cannot move.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from forestay.core.errors import ForestayError
from forestay.core.experiments.settings import Experiment
from forestay.core.units import DAY, to_milliseconds
from forestay_training.experiments.arrays import Floats, Integers
from forestay_training.experiments.log import Decision, Log, Outcome, Trial

#: What is known before the exposure and foretells what comes after: the score, and the user's history.
HISTORY: Final = ("spend_180d", "orders_total", "average_basket", "hours_since_last_event")
#: What a user sends back who has had enough of it.
COMPLAINT: Final = "complained"


class Exposures(NamedTuple):
    """One row a user, by the time of exposure; of `columns`, what no outcome tells (yet) is NaN.

    `columns`: of the `horizon` (ms) after the exposure returned (0 or 1), orders, revenue and margin, as the exposing
    decision's outcome has them; contacts; and of the decisions within it, the cost and complaints their own outcomes
    have. `covariates` has a column for the score, one for each of `HISTORY` in logarithms, and the spend as it is.
    """

    arms: Integers
    exposed_at: Integers
    covariates: Floats
    columns: Mapping[str, Floats]
    horizon: int
    latest_outcome: int
    arm_count: int
    in_two_arms: int


class _Came(NamedTuple):
    outcomes: dict[str, Outcome]
    horizon: int
    latest: int


class _First(NamedTuple):
    decision_id: str
    at: int
    arm: int
    covariates: tuple[float, ...]


class _Dealt(NamedTuple):
    """The number of a decision's arm, and whether the arms part there."""

    arm: int
    parts: bool


#: Returns the arm of a decision, None if it is none of the experiment's.
Dealing = Callable[[Decision], _Dealt | None]


def read_exposures(log: Log, experiment: Experiment) -> Exposures:
    """Returns the exposed users. Reads the log three times, and holds what concerns these users alone.

    Raises:
        ForestayError: nobody was exposed, no outcome is in, or log and experiment do not fit.
    """
    nobody = f"nobody in this log was exposed to {experiment.id}: is it the log of its time, and of this catalogue?"
    return _read(log, _dealing(experiment), len(experiment.arms), nobody)


def read_acted(log: Log) -> Exposures:
    """Returns everybody from the first decision to act on, as one arm: whom an experiment would be about.

    Raises:
        ForestayError: nobody was acted upon, or no outcome is in.
    """

    def dealt(decision: Decision) -> _Dealt | None:
        return None if decision.offer_id is None else _Dealt(0, parts=True)

    return _read(log, dealt, 1, "nobody in this log was acted upon: record decisions and outcomes first")


def _read(log: Log, dealing: Dealing, arm_count: int, nobody: str) -> Exposures:
    exposed, switched = _first_exposures(log, dealing)
    if not exposed:
        raise ForestayError(nobody)
    acted = _acted(log, exposed)
    came = _outcomes(log, {one.decision_id for one in exposed.values()}, set(acted))
    return _rows(exposed, acted, came, arm_count, switched)


def _dealing(experiment: Experiment) -> Dealing:
    numbers = {arm.id: number for number, arm in enumerate(experiment.arms)}
    alike = all(arm.change == experiment.arms[0].change for arm in experiment.arms)

    def dealt(decision: Decision) -> _Dealt | None:
        trial = next((one for one in decision.experiments if one.experiment == experiment.id), None)
        if trial is None:
            return None
        if trial.arm not in numbers:
            raise ForestayError(
                f"the log has an arm {trial.arm} of {experiment.id} that the catalogue does not have:"
                " give --catalogue as it was then"
            )
        return _Dealt(numbers[trial.arm], _matters(trial, alike=alike))

    return dealt


def _first_exposures(log: Log, dealing: Dealing) -> tuple[dict[str, _First], int]:
    exposed: dict[str, _First] = {}
    switched: set[str] = set()
    for decision in log.decisions():
        dealt = dealing(decision)
        if dealt is None:
            continue
        before = exposed.get(decision.user_id)
        if before is not None and before.arm != dealt.arm:
            switched.add(decision.user_id)
        at = to_milliseconds(decision.decided_at)
        if dealt.parts and (before is None or at < before.at):
            exposed[decision.user_id] = _First(decision.decision_id, at, dealt.arm, _covariates(decision))
    return exposed, len(switched)


def _matters(trial: Trial, *, alike: bool) -> bool:
    """Says whether the arms part here; in an A/A test, where they never do, whether anything is done."""
    offers = set(trial.would.values())
    return offers != {None} if alike else len(offers) > 1


def _covariates(decision: Decision) -> tuple[float, ...]:
    history = [max(decision.features.get(name, 0.0), 0.0) for name in HISTORY]
    # Returning goes by the logarithm of what was spent and how often, spending by the sum itself.
    return (decision.churn.probability, *map(float, np.log1p(history)), history[0])


def _acted(log: Log, exposed: Mapping[str, _First]) -> dict[str, tuple[str, int]]:
    """Returns user and time of each decision to act, by its id, of exposed users from the exposure on."""
    found = {}
    for decision in log.decisions():
        first = exposed.get(decision.user_id)
        if first is not None and decision.offer_id is not None:
            at = to_milliseconds(decision.decided_at)
            if at >= first.at:
                found[decision.decision_id] = (decision.user_id, at)
    return found


def _outcomes(log: Log, exposing: set[str], acted: set[str]) -> _Came:
    found: dict[str, Outcome] = {}
    horizons: set[float] = set()
    latest = 0
    for outcome in log.outcomes():
        if not outcome.complete:
            # It says when it would have matured, and was closed before: it is missing, like one that was not written.
            continue
        latest = max(latest, to_milliseconds(outcome.matured_at))
        if outcome.decision_id in exposing or outcome.decision_id in acted:
            found.setdefault(outcome.decision_id, outcome)
            horizons.add(outcome.horizon_days)
    if not horizons:
        raise ForestayError("the log has no outcome of an exposed user: record the topic of outcomes too, or wait")
    if len(horizons) > 1:
        told = ", ".join(f"{days:g}" for days in sorted(horizons))
        raise ForestayError(f"the outcomes are of several horizons ({told} days): read the log of one at a time")
    return _Came(found, round(horizons.pop() * DAY), latest)


def _rows(
    exposed: Mapping[str, _First],
    acted: Mapping[str, tuple[str, int]],
    came: _Came,
    arm_count: int,
    switched: int,
) -> Exposures:
    ordered = sorted(exposed.items(), key=lambda one: (one[1].at, one[0]))
    row_of = {user: row for row, (user, _) in enumerate(ordered)}
    own = np.full((len(ordered), 4), np.nan)
    sums = np.zeros((len(ordered), 3))
    for row, (_, first) in enumerate(ordered):
        outcome = came.outcomes.get(first.decision_id)
        if outcome is not None:
            told = outcome.fragments
            own[row] = (told.returned, told.orders, told.revenue, told.margin)
    for decision_id, (user, at) in acted.items():
        if at < exposed[user].at + came.horizon:
            sums[row_of[user]] += _cost(came.outcomes.get(decision_id))
    contacts, cost, complaints = sums.T
    returned, orders, revenue, margin = own.T
    return Exposures(
        arms=np.array([first.arm for _, first in ordered], dtype=np.int64),
        exposed_at=np.array([first.at for _, first in ordered], dtype=np.int64),
        covariates=np.array([first.covariates for _, first in ordered]),
        columns={
            "returned": returned, "orders": orders, "revenue": revenue, "margin": margin,
            "contacts": contacts, "cost": cost, "complaints": complaints,
        },
        horizon=came.horizon,
        latest_outcome=came.latest,
        arm_count=arm_count,
        in_two_arms=switched,
    )  # fmt: skip


def _cost(outcome: Outcome | None) -> tuple[float, float, float]:
    """Returns a contact with its cost and complaints, NaN while they are not known."""
    if outcome is None:
        return 1.0, np.nan, np.nan
    return 1.0, outcome.fragments.cost, outcome.fragments.feedback.get(COMPLAINT, 0)
