"""The catalogue of offers: what may be done, at what cost, under which guardrails.

A shop writes it as YAML (`docs/catalogue.md`). `effect` is the shop's own estimate of the share of the
churn probability an offer removes, until experiments measure it; what it misses a posterior may tell
(`docs/policies.md`).
"""

from enum import StrEnum
from typing import Any, Final, Self

from pydantic import Field, JsonValue, ValidationInfo, field_serializer, field_validator, model_validator

from forestay.core.actions.payload import checked
from forestay.core.budget.budget import Budget
from forestay.core.decision.guardrail_settings import Days, Guardrails, Money, Part, ReviewRisk, Share, Switches
from forestay.core.experiments.settings import Experiment, check_together
from forestay.core.hashing import identifier
from forestay.core.items.items import Items, ListKind
from forestay.core.policy.parity import OTHERS, ParityPrices
from forestay.core.policy.posterior import Posterior
from forestay.core.policy.rule import MAX_RULES, Rule, check_rules
from forestay.core.policy.value_to_go import LongRun
from forestay_schemas.types import ActionKind, GroupedBy, Identifier, Label, Timestamp, TriggerKind

#: A catalogue may hold this many offers; the policy looks at each for every decision.
MAX_OFFERS: Final = 200
#: Its prices are moved at each decision.
MAX_BUDGETS: Final = 20
#: What may be transactional: an answer to something the user began, not an offer of something.
_TRANSACTIONAL: Final = {ActionKind.MESSAGE, ActionKind.OUTREACH}


class Cost(Part):
    """What an offer costs, in the shop's currency: a fixed amount, plus a share of the user's average basket.

    `points` are those the user gets; what they cost the shop is for `fixed` to say.
    """

    fixed: Money = 0.0
    basket_share: Share = 0.0
    points: int = Field(default=0, ge=0, le=10**9)


class Eligibility(Part):
    """Whom an offer is for."""

    triggers: frozenset[TriggerKind] = frozenset(TriggerKind)
    min_probability: Share = 0.0
    min_orders: int = Field(default=0, ge=0)
    min_spend: Money = 0.0
    countries: frozenset[str] | None = None
    tiers: frozenset[Identifier] | None = None
    margin_floor: Share | None = Field(
        default=None, description="least margin an average basket keeps after the offer, as a share of it"
    )

    @field_serializer("triggers", "countries", "tiers")
    def _in_order(self, chosen: frozenset[str] | None) -> list[str] | None:
        """Writes sets in one order: the digest must be the same in every process."""
        return None if chosen is None else sorted(chosen)


class Available(Part):
    """Between which moments an offer may be made: from the first, until just before the last."""

    begin: Timestamp | None = Field(default=None, alias="from")
    until: Timestamp | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.begin is not None and self.until is not None and self.begin >= self.until:
            message = "an offer must be available before it no longer is: `from` lies before `until`"
            raise ValueError(message)
        return self


class Offer(Part):
    """One thing that can be done for a user."""

    id: Identifier
    kind: ActionKind
    channel: Label
    effect: Share = Field(description="share of the churn probability this offer removes, as the shop estimates")
    cost: Cost = Cost()
    budgets: tuple[Identifier, ...] = Field(default=(), max_length=4, description="what it is paid from")
    cooldown_days: Days = Field(default=30, description="before the same offer may be repeated to a user")
    expires_after_hours: float = Field(default=72, gt=0, le=8760)
    transactional: bool = Field(default=False, description="about an order or a task of the user's, not marketing")
    available: Available | None = None
    eligibility: Eligibility = Eligibility()
    payload: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("payload")
    @classmethod
    def _of_its_kind(cls, payload: dict[str, JsonValue], others: ValidationInfo) -> dict[str, JsonValue]:
        # Without a kind that is wrong, and said so.
        return checked(others.data["kind"], payload) if "kind" in others.data else payload

    @property
    def marketing(self) -> bool:
        """Says whether guardrails protect users from it: transactional offers and reviews by staff are exempt."""
        return not self.transactional and self.kind is not ActionKind.REVIEW_RISK

    @property
    def lists_next(self) -> bool:
        """Says whether it shows what the model says the user orders next."""
        return self.kind is ActionKind.RECOMMENDATION and self.payload.get("list") == ListKind.NEXT

    @model_validator(mode="after")
    def _truly_transactional(self) -> Self:
        if self.transactional and self.kind not in _TRANSACTIONAL:
            message = f"a {self.kind} is marketing: only {' and '.join(sorted(_TRANSACTIONAL))} may be transactional"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _points_agree(self) -> Self:
        points = self.payload.get("points")
        if self.kind is ActionKind.LOYALTY and self.cost.points and points is not None and points != self.cost.points:
            message = f"it costs {self.cost.points} points and gives {points}"
            raise ValueError(message)
        return self


class PolicyKind(StrEnum):
    """What weighs offers against each other."""

    EXPECTED_VALUE = "expected_value"
    LINEAR_THOMPSON = "linear_thompson"
    RULES = "rules"


class PolicySettings(Part):
    """How the policy values a user and how much it explores."""

    kind: PolicyKind = Field(default=PolicyKind.EXPECTED_VALUE, exclude_if=lambda kind: kind == "expected_value")
    name: str = "expected-value"
    margin: Share = Field(default=0.3, description="margin as a share of spend")
    value_days: float = Field(default=180, gt=0, le=3650, description="horizon of the value at stake")
    exploration: Share = 0.05
    exploration_floor: Share = Field(
        default=0.0, exclude_if=lambda floor: not floor, description="least probability of each candidate in play"
    )
    salt: str = Field(default="policy-1", min_length=1)
    #: The policy itself, or what decides beneath another one where no model has answered.
    rules: tuple[Rule, ...] = Field(default=(), max_length=MAX_RULES, exclude_if=lambda rules: not rules)
    embedding: bool = Field(
        default=False, exclude_if=lambda asked: not asked, description="decisions carry the model's, to learn from"
    )
    #: In the file the name of another, whose content comes to stand here: the digest names what was learned too.
    posterior: Posterior | None = Field(default=None, exclude_if=lambda posterior: posterior is None)
    #: Advice on what comes after the horizon of rewards.
    value_to_go: LongRun | None = Field(default=None, exclude_if=lambda advice: advice is None)
    #: As of the posterior. Groups bear prices, so that their rates lie in a band (`docs/fairness.md`).
    parity: ParityPrices | None = Field(default=None, exclude_if=lambda prices: prices is None)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("kind") == PolicyKind.LINEAR_THOMPSON:
            return {"name": "linear-thompson", **content}
        if isinstance(content, dict) and content.get("kind") == PolicyKind.RULES:
            return {"name": "rules", **content}
        return content

    @model_validator(mode="after")
    def _has_learned(self) -> Self:
        # Others may have one that an arm of an experiment goes by.
        if self.kind is PolicyKind.LINEAR_THOMPSON and self.posterior is None:
            message = "the kind linear_thompson needs a posterior: `forestay policy fit` makes one"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if self.kind is PolicyKind.RULES and not self.rules:
            message = "the kind rules needs `rules`"
            raise ValueError(message)
        return self

    @property
    def reads_embedding(self) -> bool:
        """Says whether the policy asks the model for the user's embedding."""
        return self.embedding or (self.posterior is not None and self.posterior.projection is not None)

    def explored(self, candidates: int) -> float:
        """Returns the share of decisions to draw evenly among so many, so that each has its floor."""
        return min(max(self.exploration, self.exploration_floor * candidates), 1.0)


class Catalogue(Part):
    """Everything the policy may know about the shop's offers; `digest` names this exact content."""

    name: Identifier
    offers: list[Offer] = Field(min_length=1, max_length=MAX_OFFERS)
    budgets: tuple[Budget, ...] = Field(default=(), max_length=MAX_BUDGETS)
    guardrails: Guardrails = Guardrails()
    policy: PolicySettings = PolicySettings()
    #: Left out where there are none: the digest names what there is.
    experiments: list[Experiment] = Field(default_factory=list, max_length=100, exclude_if=lambda some: not some)
    tiers: dict[Identifier, Money] = Field(
        default_factory=dict, description="least spend ever of each tier of users; below all of them is none"
    )
    review_risk: ReviewRisk | None = None
    switches: Switches = Switches()
    #: In the file the name of another, whose content comes to stand here.
    items: Items | None = Field(default=None, exclude_if=lambda items: items is None)

    @model_validator(mode="after")
    def _items_are_there(self) -> Self:
        lists = {offer.payload.get("list") for offer in self.offers if offer.kind is ActionKind.RECOMMENDATION}
        if self.items is None and (wanting := sorted(set(ListKind) & lists)):
            with_head = " --next" if wanting[0] == ListKind.NEXT else ""
            message = (
                f"the list {wanting[0]} is filled from `items`: `forestay items fit{with_head}` makes such a file"
            )
            raise ValueError(message)
        return self

    @field_validator("items")
    @classmethod
    def _head_is_there(cls, items: Items | None, others: ValidationInfo) -> Items | None:
        # Of the field, so that the error names the line of `items`.
        offers: list[Offer] = others.data.get("offers", [])
        if (
            items is not None
            and items.next_item is None
            and (wanting := [one.id for one in offers if one.lists_next])
        ):
            message = (
                f"the offer {wanting[0]} shows the list next, and the file has no item head: make it with"
                " `forestay items fit --next`"
            )
            raise ValueError(message)
        return items

    @property
    def reads_embedding(self) -> bool:
        """Says whether the model is to be asked for the user's embedding: by the policy, or to fill a list."""
        return self.policy.reads_embedding or any(offer.lists_next for offer in self.offers)

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
                if change.policy:
                    self._check_arm(experiment.id, change.policy)
        return self

    def _check_arm(self, experiment: str, change: dict[str, JsonValue]) -> None:
        """Makes sure that what an arm changes of the policy can work beside the rest of the catalogue."""
        policy = type(self.policy).model_validate({**self.policy.model_dump(), **change})
        if policy.reads_embedding and not self.policy.reads_embedding:
            # The model is asked about a batch before anybody's arm is known.
            message = f"experiment {experiment}: an arm reads the model's embedding: set `policy.embedding` for all"
            raise ValueError(message)
        try:
            check_rules(policy.rules, {offer.id for offer in self.offers}, set(self.tiers))
            self._check_groups(policy.parity)
        except ValueError as error:
            message = f"experiment {experiment}: {error}"
            raise ValueError(message) from None

    @model_validator(mode="after")
    def _known_budgets(self) -> Self:
        known = [budget.id for budget in self.budgets]
        if len(set(known)) < len(known):
            raise ValueError("budget ids must be unique")
        for offer in self.offers:
            if unknown := sorted(set(offer.budgets) - set(known)):
                raise ValueError(f"offer {offer.id} is paid from {unknown[0]}, which is not under `budgets`")
            if len(set(offer.budgets)) < len(offer.budgets):
                raise ValueError(f"offer {offer.id} names a budget twice")
        return self

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        wanted = {tier for offer in self.offers for tier in offer.eligibility.tiers or ()}
        wanted |= {str(offer.payload["tier"]) for offer in self.offers if "tier" in offer.payload}
        if unknown := sorted(wanted - self.tiers.keys()):
            message = f"offers are for tiers that `tiers` does not name: {', '.join(unknown)}"
            raise ValueError(message)
        check_rules(self.policy.rules, {offer.id for offer in self.offers}, set(self.tiers))
        stopped = self.switches.paused | self.switches.out_of_stock
        stopped |= {rule.offer for rule in self.switches.automatic if rule.offer is not None}
        if unknown := sorted(stopped - {offer.id for offer in self.offers}):
            message = f"switches name what is no offer: {', '.join(unknown)}"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _known_groups(self) -> Self:
        self._check_groups(self.policy.parity)
        return self

    def _check_groups(self, prices: ParityPrices | None) -> None:
        tiers = set(prices.groups) if prices is not None and prices.by is GroupedBy.TIER else set()
        if unknown := sorted(tiers - {*self.tiers, OTHERS}):
            message = f"policy.parity has a price for a tier that `tiers` does not name: {unknown[0]}"
            raise ValueError(message)

    def tier(self, spend: float) -> str | None:
        """Returns the highest tier that a user of this spend has reached, None if none."""
        reached = [(least, name) for name, least in self.tiers.items() if spend >= least]
        return max(reached)[1] if reached else None

    def offer(self, offer_id: str | None) -> Offer | None:
        """Returns the offer of that id, None if there is none (any more)."""
        return next((offer for offer in self.offers if offer.id == offer_id), None)

    def longest_window_days(self) -> float:
        """Returns how long a contact must be remembered for the sake of a cap or a cooldown."""
        rules = self.guardrails
        windows = [cap.days for cap in rules.every_cap()] + [one.cooldown_days for one in self.offers]
        return max(rules.cooldown_days, *rules.kind_cooldown_days.values(), *windows)

    def digest(self) -> str:
        """Returns 12 hexadecimal digits that change with any change of the catalogue."""
        return identifier("catalogue-1", self.model_dump_json())[:12]
