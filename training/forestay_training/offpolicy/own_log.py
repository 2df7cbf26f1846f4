"""Our own decisions, joined with their outcomes, as a log that policies are judged by."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from forestay.core.errors import ForestayError
from forestay_training.offpolicy.log import Log, Matrix
from forestay_training.offpolicy.records import Decided, Outcome, Records

#: How 'do nothing' is called among the actions; an offer's id may not begin so in any shop's catalogue we know of.
NOTHING: Final = "(nothing)"
#: What the propensities of a decision may miss of 1: they are written with all digits.
_CLOSE: Final = 1e-6


class OwnLog(NamedTuple):
    """The decisions that count, in the order of their ids, with what was left out and why."""

    log: Log
    decisions: Sequence[Decided]
    function: str
    left_out: dict[str, int]


def own_log(records: Records, function: str | None = None) -> OwnLog:
    """Joins decisions and outcomes.

    Left out and counted: decisions without an outcome, which are immature; those whose outcome was closed early, as
    the user was forgotten; decisions with nothing to choose, as of the holdout or where all offers were suppressed:
    there policies do not differ; outcomes of decisions not read.

    Raises:
        ForestayError: nothing is left, rewards are of several functions, or propensities are no probabilities.
    """
    function = _function(records.outcomes, function)
    told = {key: outcome for key, outcome in records.outcomes.items() if outcome.function == function}
    outcomes = {key: outcome for key, outcome in told.items() if outcome.complete}
    mature = [records.decisions[key] for key in sorted(records.decisions) if key in outcomes]
    chosen = [decision for decision in mature if len(decision.candidates) > 1]
    left_out = {
        "immature": len(records.decisions.keys() - told.keys()),
        "forgotten": len(records.decisions.keys() & (told.keys() - outcomes.keys())),
        "no_choice": len(mature) - len(chosen),
        "outcomes_without_decision": len(records.outcomes.keys() - records.decisions.keys()),
        "repeats": records.repeats,
    }
    if not chosen:
        raise ForestayError(
            f"of {len(records.decisions):,} decisions and {len(records.outcomes):,} outcomes none can be judged by:"
            f" {_told(left_out)}. Give recordings of both topics, decisions and outcomes, of the same days"
        )
    return OwnLog(_log(chosen, outcomes), chosen, function, left_out)


def actions_of(decisions: Sequence[Decided]) -> tuple[str, ...]:
    """Returns 'do nothing' and every offer among the candidates, in the order of their names."""
    seen = {one.offer_id for decision in decisions for one in decision.candidates if one.offer_id is not None}
    return (NOTHING, *sorted(seen))


def uniform(log: Log) -> Matrix:
    """Returns the policy that draws evenly among all candidates, 'do nothing' among them: (N, A)."""
    return np.asarray(log.offered / log.offered.sum(axis=1, keepdims=True))


def nothing(log: Log) -> Matrix:
    """Returns the policy that never acts: (N, A)."""
    target = np.zeros(log.offered.shape)
    target[:, log.actions.index(NOTHING)] = 1.0
    return target


def _function(outcomes: Mapping[str, Outcome], wanted: str | None) -> str:
    seen = Counter(outcome.function for outcome in outcomes.values())
    names = ", ".join(f"{name} ({count:,})" for name, count in sorted(seen.items())) or "no outcomes at all"
    if wanted is not None and wanted not in seen:
        raise ForestayError(f"--reward-function {wanted}: there are {names}")
    if wanted is None and len(seen) > 1:
        raise ForestayError(
            f"rewards of several functions are no one scale: say --reward-function; there are {names}"
        )
    return wanted or next(iter(seen), "none")


def _log(decisions: Sequence[Decided], outcomes: Mapping[str, Outcome]) -> Log:
    actions = actions_of(decisions)
    place = {name: number for number, name in enumerate(actions)}
    logging = np.zeros((len(decisions), len(actions)))
    offered = np.zeros(logging.shape, dtype=np.bool_)
    for row, decision in enumerate(decisions):
        for one in decision.candidates:
            column = place[one.offer_id or NOTHING]
            logging[row, column], offered[row, column] = one.propensity, True
    chosen = np.array([place[decision.offer_id or NOTHING] for decision in decisions])
    propensity = logging[np.arange(len(decisions)), chosen]
    _check(decisions, logging, propensity)
    return Log(
        actions=actions,
        chosen=chosen,
        propensity=propensity,
        reward=np.array([outcomes[decision.decision_id].reward for decision in decisions]),
        user=np.unique([decision.user_id for decision in decisions], return_inverse=True)[1],
        context=_context(decisions),
        offered=offered,
        tried=logging > 0,
        logging=logging,
    )


def _check(decisions: Sequence[Decided], logging: Matrix, propensity: Matrix) -> None:
    wrong = np.flatnonzero((np.abs(logging.sum(axis=1) - 1) > _CLOSE) | (propensity <= 0))
    if len(wrong):
        raise ForestayError(
            f"{len(wrong):,} decisions have propensities that do not sum to 1, or chose what had none; the first is"
            f" {decisions[wrong[0]].decision_id}: a log like that cannot be judged by"
        )


def _context(decisions: Sequence[Decided]) -> Matrix:
    """Returns the features on the record and the churn probability; what a record lacks is 0."""
    names = sorted({name for decision in decisions for name in decision.features})
    rows = [
        [decision.churn.probability, *(decision.features.get(name, 0.0) for name in names)] for decision in decisions
    ]
    return np.array(rows, dtype=np.float64)


def _told(left_out: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in left_out.items() if count) or "none read"
    )


#: A policy by name, for a log of our own.
NAMED: Final[Mapping[str, Callable[[Log], Matrix]]] = {"uniform": uniform, "nothing": nothing}
