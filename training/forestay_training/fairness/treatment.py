"""What a policy does to each decision's user: whether it makes an offer, what that costs, and what it earns."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.policy import cost
from forestay_training.offpolicy import reward_model
from forestay_training.offpolicy.catalogue_policy import reweigh, weighed
from forestay_training.offpolicy.estimators import terms
from forestay_training.offpolicy.log import Flags, Vector
from forestay_training.offpolicy.own_log import NOTHING, nothing, own_log
from forestay_training.offpolicy.records import Decided, Records
from forestay_training.offpolicy.support import support


class Treatment(NamedTuple):
    """For each of N decisions: the probability of a marketing offer, its expected cost, and the user's basket."""

    selected: Vector
    cost: Vector
    basket: Vector


class Earned(NamedTuple):
    """For each of N decisions what offers earned above doing nothing (an estimate), where `known` (N,) says so.

    `doubts` are sentences on why the log does not bear the estimate out, as in off-policy evaluation.
    """

    gain: Vector
    known: Flags
    doubts: Sequence[str] = ()


def treatment(decisions: Sequence[Decided], catalogue: Catalogue, *, candidate: bool) -> Treatment:
    """Returns what the log's policy did, or, as a `candidate`, what the catalogue would do.

    Probabilities are summed, not choices counted: of the log they are on the record, and chance adds nothing.
    Offers that are no marketing do not count.

    Raises:
        ForestayError: the catalogue's policy reads what is not on a record.
    """
    rows = [_offers(decision, catalogue, candidate=candidate) for decision in decisions]
    baskets = np.array([decision.features.get("average_basket", 0.0) for decision in decisions])
    selected, costs = np.zeros(len(rows)), np.zeros(len(rows))
    for number, row in enumerate(rows):
        for offer_id, probability in row.items():
            offer = catalogue.offer(offer_id)
            if offer is not None and not offer.marketing:
                continue
            selected[number] += probability
            if offer is not None:
                costs[number] += probability * cost(offer, float(baskets[number]))
    return Treatment(selected, costs, baskets)


def _offers(decision: Decided, catalogue: Catalogue, *, candidate: bool) -> Mapping[str, float]:
    if candidate:
        return {name: chance for name, chance in weighed(decision, catalogue) if name != NOTHING and chance > 0}
    return {one.offer_id: one.propensity for one in decision.candidates if one.offer_id is not None}


def earned(
    records: Records, decisions: Sequence[Decided], candidate: Catalogue | None, function: str | None, seed: int
) -> Earned:
    """Returns the doubly robust estimate of each decision: the policy's value less that of doing nothing.

    Only decisions with a choice and an outcome tell it (Dudik, Langford and Li, 2011). Of fewer users than the reward
    model has folds none is known: who is made offers can be judged before the first outcomes.

    Raises:
        ForestayError: outcomes are of several functions, or propensities are no probabilities.
    """
    place = {decision.decision_id: number for number, decision in enumerate(decisions)}
    gain, known = np.zeros(len(decisions)), np.zeros(len(decisions), dtype=np.bool_)
    if len({decision.user_id for decision in decisions if _tells(decision, records)}) < reward_model.FOLDS:
        return Earned(gain, known)
    own = own_log(records, function)
    log, target = own.log, own.log.logging
    if candidate is not None:
        log, target = reweigh(own.log, own.decisions, candidate)
    assert target is not None  # noqa: S101 - a log of our own tells all probabilities
    fold = reward_model.folds_by_user(log.user, seed)
    answers = reward_model.cross_fitted(log, reward_model.maker("linear", binary=log.binary), fold)
    acted, idle = terms(log, target, answers)["dr"], terms(log, nothing(log), answers)["dr"]
    rows = [place[decision.decision_id] for decision in own.decisions]
    gain[rows] = acted.direct + acted.weighted - idle.direct - idle.weighted
    known[rows] = True
    return Earned(gain, known, support(log, target).lacks())


def _tells(decision: Decided, records: Records) -> bool:
    outcome = records.outcomes.get(decision.decision_id)
    return outcome is not None and outcome.complete and len(decision.candidates) > 1
