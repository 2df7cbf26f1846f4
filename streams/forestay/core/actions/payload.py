"""The payload of each kind of action, as a shop writes it in the catalogue (`docs/actions.md`).

An empty payload leaves everything to the receiver, who knows the offer by its id. What is there must be what its
kind has; the shop's own fields go under `extra` and are passed on as they are.
"""

from string import Formatter
from types import MappingProxyType
from typing import Final, Self

from pydantic import Field, JsonValue, ValidationError, field_validator, model_validator

from forestay.core.decision.guardrail_settings import Money, Part
from forestay_schemas.types import ActionKind, Identifier, Label

#: What a message's text may name in braces; `fill.py` knows their values.
SLOTS: Final = ("orders", "spend", "average_basket", "days_silent", "expires_on")
_LONGEST_TEXT: Final = 4_000


class Payload(Part):
    """What all kinds have."""

    extra: dict[str, JsonValue] = Field(default_factory=dict)


class PromotionPayload(Payload):
    """A coupon: its depth in percent or as an amount, and how long it is good if less long than the action."""

    coupon_percent: float | None = Field(default=None, gt=0, le=100)
    coupon_amount: Money | None = Field(default=None, gt=0)
    code: Label | None = None
    minimum_basket: Money | None = None
    valid_hours: float | None = Field(default=None, gt=0, le=8760)

    @model_validator(mode="after")
    def _one_depth(self) -> Self:
        if (self.coupon_percent is None) == (self.coupon_amount is None):
            message = "a coupon has either coupon_percent or coupon_amount"
            raise ValueError(message)
        return self


class LoyaltyPayload(Payload):
    """Points to credit, a tier to lift the user to, or both."""

    points: int | None = Field(default=None, ge=1, le=10**9)
    tier: Identifier | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.points is None and self.tier is None:
            message = "loyalty is points, a tier, or both"
            raise ValueError(message)
        return self


class OutreachPayload(Payload):
    """A task for a person; the context that person needs is filled in."""

    task: str = Field(min_length=1, max_length=_LONGEST_TEXT)
    team: Label | None = None


class MessagePayload(Payload):
    """A template the sender knows, or a text with slots, or both."""

    template: Label | None = None
    text: str | None = Field(default=None, min_length=1, max_length=_LONGEST_TEXT)

    @field_validator("text")
    @classmethod
    def _slots(cls, text: str | None) -> str | None:
        for name in slots(text or ""):
            if name not in SLOTS:
                message = f"there is no slot {{{name}}}; there are {', '.join(SLOTS)}"
                raise ValueError(message)
        return text

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.template is None and self.text is None:
            message = "a message has a template, a text, or both"
            raise ValueError(message)
        return self


class RecommendationPayload(Payload):
    """Which list is shown, and how many of it: one filled in here (`core/items/`), or one of the receiver's."""

    list: Label
    count: int = Field(default=6, ge=1, le=50)


class ReviewRiskPayload(Payload):
    """A task for who reviews; the signs are filled in."""

    task: str | None = Field(default=None, min_length=1, max_length=_LONGEST_TEXT)


_OF_KIND: Final[MappingProxyType[ActionKind, type[Payload]]] = MappingProxyType(
    {
        ActionKind.PROMOTION: PromotionPayload,
        ActionKind.LOYALTY: LoyaltyPayload,
        ActionKind.OUTREACH: OutreachPayload,
        ActionKind.MESSAGE: MessagePayload,
        ActionKind.RECOMMENDATION: RecommendationPayload,
        ActionKind.REVIEW_RISK: ReviewRiskPayload,
    }
)


def checked(kind: ActionKind, payload: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Returns the payload as it is written, once it is what its kind has.

    Raises:
        ValueError: it is not; the message names each part that is wrong.
    """
    if not payload:
        return payload
    try:
        return _OF_KIND[kind].model_validate(payload).model_dump(exclude_none=True, exclude_defaults=True)
    except ValidationError as error:
        wrong = [_said(item["loc"], item["msg"]) for item in error.errors(include_url=False)]
        message = f"of a {kind}: {'; '.join(wrong)} (fields of your own go under `extra`)"
        raise ValueError(message) from None


def slots(text: str) -> list[str]:
    """Returns the names in braces, in their order; `{{` is a brace.

    Raises:
        ValueError: the braces do not match, or hold more than a name.
    """
    names = []
    for _text, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            message = f"a slot is a name in braces and no more, not {{{name or ''}"
            raise ValueError(message)
        names.append(name)
    return names


def _said(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, location))
    return f"{where}: {message}" if where else message.removeprefix("Value error, ")
