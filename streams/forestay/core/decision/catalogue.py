"""The catalogue of offers: what may be done, at what cost, under which guardrails.

A shop writes it as YAML (`docs/catalogue.md`). `effect` is the shop's own estimate of the share of the
churn probability an offer removes, until experiments measure it; nothing here learns it.
"""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_serializer, model_validator

from forestay.core.experiments.settings import Experiment, check_together
from forestay.core.hashing import identifier
from forestay_schemas.types import ActionKind, Identifier, Label, TriggerKind

Share = Annotated[float, Field(ge=0, le=1)]
Money = Annotated[float, Field(ge=0, le=1e7)]
Days = Annotated[float, Field(ge=0, le=3650)]

#: A catalogue may hold this many offers; the policy looks at each for every decision.
MAX_OFFERS: Final = 200


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cost(_Part):
    """What an offer costs, in the shop's currency: a fixed amount, plus a share of the user's average basket."""

    fixed: Money = 0.0
    basket_share: Share = 0.0


class Eligibility(_Part):
    """Whom an offer is for."""

    triggers: frozenset[TriggerKind] = frozenset(TriggerKind)
    min_probability: Share = 0.0
    min_orders: int = Field(default=0, ge=0)
    min_spend: Money = 0.0
    countries: frozenset[str] | None = None

    @field_serializer("triggers", "countries")
    def _in_order(self, chosen: frozenset[str] | None) -> list[str] | None:
        """Writes sets in one order: the digest must be the same in every process."""
        return None if chosen is None else sorted(chosen)


class Offer(_Part):
    """One thing that can be done for a user."""

    id: Identifier
    kind: ActionKind
    channel: Label
    effect: Share = Field(description="share of the churn probability this offer removes, as the shop estimates")
    cost: Cost = Cost()
    cooldown_days: Days = Field(default=30, description="before the same offer may be repeated to a user")
    expires_after_hours: float = Field(default=72, gt=0, le=8760)
    eligibility: Eligibility = Eligibility()
    payload: dict[str, JsonValue] = Field(default_factory=dict)


class Guardrails(_Part):
    """Limits over all offers together."""

    cap_contacts: int | None = Field(default=3, ge=1, le=32, description="most contacts a user in `cap_days`")
    cap_days: Days = 30
    cooldown_days: Days = Field(default=7, description="after any contact, before the next")
    holdout: Share = Field(default=0.05, description="share of users never acted upon, for comparison")
    salt: str = Field(default="holdout-1", min_length=1)


class PolicySettings(_Part):
    """How the policy values a user and how much it explores."""

    name: str = "expected-value"
    margin: Share = Field(default=0.3, description="margin as a share of spend")
    value_days: float = Field(default=180, gt=0, le=3650, description="horizon of the value at stake")
    exploration: Share = 0.05
    salt: str = Field(default="policy-1", min_length=1)


class Catalogue(_Part):
    """Everything the policy may know about the shop's offers; `digest` names this exact content."""

    name: Identifier
    offers: list[Offer] = Field(min_length=1, max_length=MAX_OFFERS)
    guardrails: Guardrails = Guardrails()
    policy: PolicySettings = PolicySettings()
    #: Left out where there are none: the digest names what there is.
    experiments: list[Experiment] = Field(default_factory=list, max_length=100, exclude_if=lambda some: not some)

    @model_validator(mode="after")
    def _unique_offers(self) -> Self:
        ids = [offer.id for offer in self.offers]
        repeated = sorted({offer_id for offer_id in ids if ids.count(offer_id) > 1})
        if repeated:
            message = f"offer ids must be unique; repeated: {', '.join(repeated)}"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _experiments_fit(self) -> Self:
        check_together(self.experiments)
        known = {offer.id for offer in self.offers}
        for experiment in self.experiments:
            for change in (arm.change for arm in experiment.arms):
                if unknown := sorted((change.offers or frozenset()) - known):
                    message = f"experiment {experiment.id} names offers that are not there: {', '.join(unknown)}"
                    raise ValueError(message)
                type(self.policy).model_validate({**self.policy.model_dump(), **change.policy})
        return self

    def digest(self) -> str:
        """Returns 12 hexadecimal digits that change with any change of the catalogue."""
        return identifier("catalogue-1", self.model_dump_json())[:12]
