"""What another catalogue's policy would have chosen in decisions on record, and with what probability.

The guardrails ran before the log was written, on state that is not on the record (contacts, consent): the offers
they left are those the candidate may choose among. An offer that is not in the new catalogue is
weighed no more. One it has added was never a candidate; where what is on the record does not forbid it, it is weighed
too, and what the policy gives it is a gap in support: the log cannot say what it would have done.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import ValidationError

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.recorded import recorded_embedding, recorded_situation
from forestay.core.decision.situation import Situation
from forestay.core.errors import ForestayError
from forestay.core.policy.weighing import weigh
from forestay_schemas.decision import Candidate
from forestay_schemas.types import GroupedBy
from forestay_training.offpolicy.log import Log, Matrix
from forestay_training.offpolicy.own_log import NOTHING
from forestay_training.offpolicy.records import Decided


def reweigh(log: Log, decisions: Sequence[Decided], catalogue: Catalogue) -> tuple[Log, Matrix]:
    """Returns the log with a column for each offer it has never had, and the policy's probabilities (N, A)."""
    rows = [list(weighed(decision, catalogue)) for decision in decisions]
    new = {name for row in rows for name, _probability in row}.difference(log.actions)
    wider = _widened(log, tuple(sorted(new)))
    place = {name: number for number, name in enumerate(wider.actions)}
    target = np.zeros(wider.offered.shape)
    for number, row in enumerate(rows):
        for name, probability in row:
            target[number, place[name]] = probability
    return wider, target


def weighed(decision: Decided, catalogue: Catalogue) -> Iterator[tuple[str, float]]:
    """Yields what the catalogue could choose in a decision, and with what probability.

    Raises:
        ForestayError: its policy reads what is not on the record.
    """
    for one in candidates_of(decision, catalogue):
        yield one.offer_id or NOTHING, one.propensity


def candidates_of(decision: Decided, catalogue: Catalogue) -> list[Candidate]:
    """Returns what the catalogue's policy makes of a decision, 'do nothing' first.

    Raises:
        ForestayError: its policy reads what is not on the record.
    """
    prices = catalogue.policy.parity
    by_country = prices is not None and prices.by is GroupedBy.COUNTRY
    if by_country and (decision.parity is None or decision.parity.by is not GroupedBy.COUNTRY):
        raise ForestayError(
            f"policy.parity goes by country, which is not on decision {decision.decision_id}: it is on those made"
            " with such prices; to `forestay fair` a file may tell it, --groups with a column `country`"
        )
    kept = {one.offer_id for one in decision.candidates}
    cut = {one.offer_id for one in decision.suppressed}
    offers = [
        offer for offer in catalogue.offers if offer.id in kept or (offer.id not in cut and _may_be(offer, decision))
    ]
    try:
        churn = decision.churn
        return weigh(offers, situation_of(decision), churn.probability, catalogue, rung=churn.rung)
    except ValidationError as error:
        # A value that is no number: what it is made of is not there.
        raise ForestayError(
            f"the policy cannot weigh decision {decision.decision_id}: a feature it reads is not on the record, which"
            f" has {', '.join(sorted(decision.features)) or 'none'}"
        ) from error


def _may_be(offer: Offer, decision: Decided) -> bool:
    """Says whether nothing on the record forbids an offer that was in no catalogue then."""
    rules = offer.eligibility
    return (
        not decision.holdout
        and decision.trigger.kind in rules.triggers
        and decision.churn.probability >= rules.min_probability
        and decision.features.get("orders_total", 0.0) >= rules.min_orders
        and decision.features.get("spend_total", 0.0) >= rules.min_spend
    )


def situation_of(decision: Decided) -> Situation:
    """Returns the situation as far as it is on the record; a feature that is not is nan."""
    made = decision.trigger.kind, decision.features
    embedding = recorded_embedding(decision.churn.version, decision.embedding)
    situation = recorded_situation(decision.decision_id, decision.user_id, decision.decided_at, *made, embedding)
    told = decision.parity
    return situation if told is None or told.by is not GroupedBy.COUNTRY else situation._replace(country=told.group)


def _widened(log: Log, new: tuple[str, ...]) -> Log:
    """Returns the log with columns of offers that never were candidates."""
    blank = np.zeros((len(log.chosen), len(new)))
    return log._replace(
        actions=log.actions + new,
        offered=np.hstack([log.offered, blank > 0]),
        tried=np.hstack([log.tried, blank > 0]),
        logging=None if log.logging is None else np.hstack([log.logging, blank]),
    )
