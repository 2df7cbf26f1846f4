"""What a shop writes as a rule of its own: for whom, with what priority, and what is to be done (`docs/policies.md`).

A rule reads what the decision record carries, so that any record can be decided again.
"""

from typing import Any, Final, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from forestay.core.decision.guardrail_settings import Part
from forestay.core.decision.situation import POLICY_FEATURES
from forestay_schemas.types import Identifier, TriggerKind

#: Rules a catalogue may have; each is asked for every decision.
MAX_RULES: Final = 100
_MOST_OFFERS: Final = 20


class Bound(Part):
    """A range of a number: from `at_least`, to just before `below`; one may be left out."""

    at_least: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.at_least is None and self.below is None:
            message = "a bound needs at_least, below or both"
            raise ValueError(message)
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            message = "nothing is at_least the one and below the other"
            raise ValueError(message)
        return self

    def holds(self, value: float) -> bool:
        """Says whether the value lies in the range."""
        return (self.at_least is None or value >= self.at_least) and (self.below is None or value < self.below)


class Conditions(Part):
    """All of what must hold; what is left out is not asked. `features` are those on the decision record."""

    triggers: frozenset[TriggerKind] = frozenset(TriggerKind)
    tiers: frozenset[Identifier] | None = None
    probability: Bound | None = None
    features: dict[str, Bound] = Field(default_factory=dict)

    @field_validator("features")
    @classmethod
    def _known(cls, features: dict[str, Bound]) -> dict[str, Bound]:
        if unknown := sorted(features.keys() - set(POLICY_FEATURES)):
            message = f"there is no feature {unknown[0]} on the record; there are {', '.join(POLICY_FEATURES)}"
            raise ValueError(message)
        return features

    @field_serializer("triggers", "tiers")
    def _in_order(self, chosen: frozenset[str] | None) -> list[str] | None:
        return None if chosen is None else sorted(chosen)


class Rule(Part):
    """One rule: the first of `offers` that is permitted is made; none named means that nothing is to be done."""

    id: Identifier
    priority: int = Field(default=0, ge=-(10**6), le=10**6, description="the highest that applies speaks first")
    when: Conditions = Conditions()
    offers: tuple[Identifier, ...] = Field(default=(), max_length=_MOST_OFFERS)

    @field_validator("offers", mode="before")
    @classmethod
    def _one_or_more(cls, offers: Any) -> Any:
        return (offers,) if isinstance(offers, str) else offers


def check_rules(rules: tuple[Rule, ...], offers: set[str], tiers: set[str]) -> None:
    """Makes sure that rules are told apart by their ids and name what there is.

    Raises:
        ValueError: they do not.
    """
    ids = [rule.id for rule in rules]
    if len(set(ids)) < len(ids):
        message = "the ids of rules must be unique"
        raise ValueError(message)
    for rule in rules:
        if unknown := sorted(set(rule.offers) - offers):
            message = f"the rule {rule.id} names an offer that is not there: {unknown[0]}"
            raise ValueError(message)
        if unknown := sorted((rule.when.tiers or frozenset()) - tiers):
            message = f"the rule {rule.id} is for a tier that `tiers` does not name: {unknown[0]}"
            raise ValueError(message)
