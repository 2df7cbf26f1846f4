"""What offers do in the made-up shop: what is true, and what the shop believes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import ErrorDetails

from forestay.core.decision.catalogue import Catalogue
from forestay.lined_yaml import load_lined
from forestay_schemas.types import Identifier

DEFAULT_EFFECTS: Final = Path(__file__).parent / "effects.yaml"
#: The one budget of the made-up shop.
BUDGET: Final = "offers"
#: Decisions fall into the afternoon, and so does spending.
_AFTERNOON: Final = (0.0,) * 12 + (1.0,) * 12
#: Users are asked about once this long after an order (hours) if they have not ordered again: half a day off, so that
#: no order falls on the moment of a decision.
LAPSES: Final = {"lapsed_30": 732, "lapsed_90": 2_148}

_Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TrueEffect(_Part):
    """The probability that an offer makes a user order on the next day who else would not have.

    By whether their usual basket is below or above the median of all. Who had left is a customer again.
    """

    small_baskets: _Share
    large_baskets: _Share


class SimulatedOffer(_Part):
    """An offer: what it costs, what the shop believes (`effect` as in a catalogue), and the truth."""

    id: Identifier
    fixed: float = Field(default=0.0, ge=0)
    basket_share: _Share = 0.0
    believed: _Share
    truth: TrueEffect


class Effects(_Part):
    """The made-up shop's offers and terms."""

    margin: float = Field(gt=0, le=1)
    horizon_days: int = Field(ge=1, le=28)
    value_days: int = Field(ge=1, le=3650, description="over which the shop reckons what a user is worth")
    doubt: float = Field(gt=0, description="deviation of a weight of the learner before it has learned")
    offers: tuple[SimulatedOffer, ...] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        ids = [offer.id for offer in self.offers]
        if len(set(ids)) < len(ids):
            raise ValueError("ids of offers must be unique")
        return self

    def catalogue(self, policy: Mapping[str, object], daily: int | None) -> Catalogue:
        """Returns the catalogue of a shop that believes what this says; `daily` hundredths may be spent a day."""
        return Catalogue.model_validate(
            {
                "name": "simulated",
                "offers": [_offer(offer, budgeted=daily is not None) for offer in self.offers],
                "budgets": [] if daily is None else [{"id": BUDGET, "limit": daily, "hours": _AFTERNOON}],
                # No second offer while the first may still show what it did.
                "guardrails": {"holdout": 0.0, "cooldown_days": self.horizon_days, "cap_contacts": None},
                "policy": {"margin": self.margin, "value_days": self.value_days, **policy},
            }
        )


def _offer(offer: SimulatedOffer, *, budgeted: bool) -> dict[str, object]:
    return {
        "id": offer.id,
        "kind": "message",
        "channel": "email",
        "effect": offer.believed,
        "cost": {"fixed": offer.fixed, "basket_share": offer.basket_share},
        "budgets": [BUDGET] if budgeted else [],
        "cooldown_days": 0,
        "eligibility": {"triggers": ["pattern"]},
        "payload": {"template": offer.id},
    }


def load_effects(path: Path) -> Effects:
    """Returns the effects in the YAML file `path`.

    Raises:
        ConfigurationError: it is missing, no YAML, or not what it should be; the message names the lines.
    """
    return load_lined(path, "file of effects", Effects.model_validate, _said, "docs/simulation.md")


def _said(item: ErrorDetails) -> str:
    return item["msg"].removeprefix("Value error, ")
