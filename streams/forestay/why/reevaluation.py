"""A decision on record, decided again with something changed: the same policy, the same draw.

Of the guardrails a record tells the first that each offer broke, and the values that some of them read (trigger,
risk, orders, spend). Those are asked again. Contacts, consent and country are not on the record: an offer that broke
no such rule then is taken to break none now. What scarce budgets took off the value of a candidate stays as it was;
of an offer that was cut it is not known, and taken for nothing.
"""

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Final, NamedTuple

from pydantic import ValidationError

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.policy import pick
from forestay.core.decision.recorded import recorded_embedding, recorded_situation
from forestay.core.experiments.changes import altered
from forestay.core.hashing import unit_interval
from forestay.core.policy.weighing import weigh
from forestay_schemas.decision import Candidate, Decision
from forestay_schemas.types import GroupedBy

#: The rules that can be asked again from what is on a record.
ASKED_AGAIN: Final = frozenset({"not_for_this_trigger", "risk_too_low", "too_few_orders", "too_little_spend"})
#: Propensities agree to this: they are written with all digits, and summed in one order.
_CLOSE: Final = 1e-9
#: Values are rounded to 1e-6, once or twice.
_ROUNDING: Final = 2e-6


class Change(NamedTuple):
    """What is otherwise; what is None or not named is as on the record. Rules in `lifted` are not asked."""

    probability: float | None = None
    features: Mapping[str, float] = {}
    lifted: frozenset[str] = frozenset()
    point: float | None = None


class Choice(NamedTuple):
    """What is chosen, and with what probability; an offer of None is 'do nothing'."""

    offer_id: str | None
    propensity: float


class Reevaluation:
    """One decision and the catalogue it was made with."""

    def __init__(self, decision: Decision, catalogue: Catalogue) -> None:
        """`catalogue` is the whole one; the arms on the record are applied to it here.

        Raises:
            pydantic.ValidationError: the policy reads what is not on the record.
        """
        self.decision = decision
        self.catalogue = _under_arms(decision, catalogue)
        #: The draw in [0, 1) that decided among the candidates.
        self.point = unit_interval(self.catalogue.policy.salt, decision.decision_id)
        self._candidates = {one.offer_id for one in decision.candidates}
        self._codes = {one.offer_id: one.code for one in decision.suppressed}
        self._offers = catalogue.offers
        self._surcharges: dict[str, float] = {}
        self._surcharges = self._scarcity()

    def candidates(self, change: Change = Change()) -> list[Candidate]:  # noqa: B008 - a tuple: nobody changes it
        """Returns the candidates, weighed as the policy does."""
        decision = self.decision
        probability = decision.churn.probability if change.probability is None else change.probability
        features = {**decision.features, **change.features}
        allowed = [offer for offer in self._offers if self._is_allowed(offer, probability, features, change.lifted)]
        situation = recorded_situation(
            decision.decision_id,
            decision.user_id,
            decision.decided_at,
            decision.trigger.kind,
            features,
            recorded_embedding(decision.churn.version, decision.embedding),
        )
        if decision.parity is not None and decision.parity.by is GroupedBy.COUNTRY:
            situation = situation._replace(country=decision.parity.group)
        return weigh(allowed, situation, probability, self.catalogue, self._surcharges, decision.churn.rung)

    def choose(self, change: Change = Change()) -> Choice:  # noqa: B008 - as above
        """Returns what is chosen."""
        candidates = self.candidates(change)
        chosen = candidates[pick(candidates, self.point if change.point is None else change.point)]
        return Choice(chosen.offer_id, chosen.propensity)

    def is_reproduced(self) -> bool:
        """Says whether deciding again with nothing changed gives what is on the record."""
        again, told = self.candidates(), self.decision.candidates
        if [one.offer_id for one in again] != [one.offer_id for one in told]:
            return False
        for new, old in zip(again, told, strict=True):
            if not isclose(new.propensity, old.propensity, abs_tol=_CLOSE):
                return False
            if not isclose(new.expected_value, old.expected_value, abs_tol=_ROUNDING):
                return False
        return again[pick(again, self.point)].offer_id == self.decision.offer_id

    def _scarcity(self) -> dict[str, float]:
        """Returns by how much each candidate was worth less than it would have been with money to spare."""
        told = {one.offer_id: one.expected_value for one in self.decision.candidates}
        paid = {offer.id for offer in self._offers if offer.budgets}
        missing = {
            one.offer_id: one.expected_value - told[one.offer_id]
            for one in self.candidates()
            if one.offer_id in paid and one.offer_id in told
        }
        return {offer_id: less for offer_id, less in missing.items() if offer_id is not None and less > _ROUNDING}

    def _is_allowed(
        self, offer: Offer, probability: float, features: Mapping[str, float], lifted: frozenset[str]
    ) -> bool:
        code = self._codes.get(offer.id)
        if code is not None and code not in lifted and code not in ASKED_AGAIN:
            return False
        if code is None and offer.id not in self._candidates:
            return False
        return lifted.issuperset(self._broken(offer, probability, features))

    def _broken(self, offer: Offer, probability: float, features: Mapping[str, float]) -> Iterator[str]:
        rules = offer.eligibility
        if self.decision.trigger.kind not in rules.triggers:
            yield "not_for_this_trigger"
        if probability < rules.min_probability:
            yield "risk_too_low"
        if features.get("orders_total", 0.0) < rules.min_orders:
            yield "too_few_orders"
        if features.get("spend_total", 0.0) < rules.min_spend:
            yield "too_little_spend"


def reevaluation(decision: Decision, catalogue: Catalogue) -> Reevaluation | None:
    """Returns the decision to be decided again, None where that does not give what is on the record."""
    try:
        again = Reevaluation(decision, catalogue)
    except ValidationError:
        return None
    return again if again.is_reproduced() else None


def _under_arms(decision: Decision, catalogue: Catalogue) -> Catalogue:
    arms = {trial.experiment: trial.arm for trial in decision.experiments}
    changes = [
        arm.change
        for experiment in catalogue.experiments
        for arm in experiment.arms
        if arms.get(experiment.id) == arm.id
    ]
    return altered(catalogue, changes)
