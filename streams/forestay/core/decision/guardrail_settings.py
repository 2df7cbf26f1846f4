"""What a shop writes under `guardrails` in its catalogue: limits over all offers together (`docs/guardrails.md`)."""

import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_serializer, field_validator, model_validator

from forestay.core.decision.local_time import zone_of
from forestay.core.state.contact import MAX_CONTACTS
from forestay_schemas.action_feedback import FeedbackKind
from forestay_schemas.types import ActionKind, Identifier, Label

Share = Annotated[float, Field(ge=0, le=1)]
Money = Annotated[float, Field(ge=0, le=1e7)]
Days = Annotated[float, Field(ge=0, le=3650)]

#: Caps a catalogue may have; each is counted for every decision.
MAX_CAPS: Final = 32

#: Automatic pauses a catalogue may have; what they count is part of every commit.
MAX_AUTOMATIC: Final = 10

DAY_MINUTES: Final = 24 * 60


class Part(BaseModel):
    """A part of a catalogue: what it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cap(Part):
    """Most contacts a user in any window of so many days: over all offers, or of one channel, one kind, or both."""

    # As many as are remembered: a cap beyond what is remembered could not be counted.
    max: int = Field(ge=1, le=MAX_CONTACTS)
    days: Days
    channel: Label | None = None
    kind: ActionKind | None = None

    @property
    def code(self) -> str:
        """Returns the code under which it removes an offer."""
        if self.channel is not None:
            return "channel_cap"
        return "frequency_cap" if self.kind is None else "kind_cap"


def _minute(value: Any) -> Any:
    """Reads a time of day as minutes; YAML itself makes 1260 of a bare 21:00."""
    if isinstance(value, str):
        found = re.fullmatch(r"([0-9]{1,2}):([0-5][0-9])", value)
        if found is None:
            message = "a time of day is written as 21:00"
            raise ValueError(message)
        return int(found[1]) * 60 + int(found[2])
    return value


Minute = Annotated[int, Field(ge=0, le=DAY_MINUTES), BeforeValidator(_minute)]


class Weekday(StrEnum):
    """Days of the week, in the order of `datetime.weekday`."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class QuietHours(Part):
    """When nobody is to be met: hours of the user's own clock, on the days on which they begin.

    What is chosen then is dropped, or held until they end.
    """

    begin: Minute = Field(alias="from")
    until: Minute
    days: frozenset[Weekday] = frozenset(Weekday)
    then: Literal["hold", "drop"] = "hold"

    @field_serializer("days")
    def _in_order(self, days: frozenset[Weekday]) -> list[Weekday]:
        return sorted(days)

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.begin == self.until or (self.until - self.begin == DAY_MINUTES and len(self.days) == len(Weekday)):
            message = "quiet hours must begin and end: nobody could ever be met"
            raise ValueError(message)
        return self


class ConsentRules(Part):
    """On which channels nothing is sent without consent, and what no word from a user means there."""

    required: frozenset[Label] = frozenset()
    default: Literal["denied", "granted"] = "denied"

    @field_serializer("required")
    def _in_order(self, channels: frozenset[str]) -> list[str]:
        return sorted(channels)


class ReviewRisk(Part):
    """Beyond which a user is offered nothing worth money; what is not set is not asked."""

    refunds_per_order: float | None = Field(default=None, ge=0, description="refunds to orders, ever")
    refunded_share: float | None = Field(default=None, ge=0, description="value given back to value bought, ever")
    promotions_per_order: float | None = Field(
        default=None, ge=0, description="promotions selected to orders, 30 days"
    )
    orders_a_day: float | None = Field(default=None, ge=0, description="orders in the last day")
    baskets_a_day: float | None = Field(
        default=None, ge=0, description="spend of the last day to the user's average basket"
    )
    min_orders: int = Field(default=3, ge=0, description="orders before a user is judged at all")


class AutomaticPause(Part):
    """When what is told of actions stops their offer, or their kind; naming neither, each offer by itself."""

    offer: Identifier | None = None
    kind: ActionKind | None = None
    feedback: frozenset[FeedbackKind] = Field(
        default=frozenset({FeedbackKind.COMPLAINED, FeedbackKind.FAILED}), min_length=1, description="what is bad"
    )
    share: float = Field(gt=0, le=1, description="of the actions told of, so many told of badly stop it ...")
    at_least: int = Field(ge=1, le=10**9, description="... once so many were told of in the window")
    hours: float = Field(default=24, gt=0, le=720, description="the window, in event time")

    @field_serializer("feedback")
    def _in_order(self, kinds: frozenset[str]) -> list[str]:
        return sorted(kinds)

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if self.offer is not None and self.kind is not None:
            raise ValueError("it stops an offer or a kind, not both: leave one out")
        return self


class Switches(Part):
    """What is stopped for now, whatever the offers say: a kill switch for one offer, a kind or everything."""

    everything: bool = False
    paused: frozenset[Identifier] = frozenset()
    paused_kinds: frozenset[ActionKind] = frozenset()
    out_of_stock: frozenset[Identifier] = frozenset()
    items_out_of_stock: frozenset[Identifier] = Field(
        default=frozenset(), max_length=100_000, exclude_if=lambda items: not items
    )
    #: Each counts in every partition by itself.
    automatic: tuple[AutomaticPause, ...] = Field(
        default=(), max_length=MAX_AUTOMATIC, exclude_if=lambda rules: not rules
    )
    lifted: int = Field(
        default=0,
        ge=0,
        exclude_if=lambda times: not times,
        description="one more lifts what was stopped automatically, with nothing else changed",
    )

    @field_serializer("paused", "paused_kinds", "out_of_stock", "items_out_of_stock")
    def _in_order(self, chosen: frozenset[str]) -> list[str]:
        return sorted(chosen)

    def stops(self, offer_id: str, kind: ActionKind) -> bool:
        """Says whether an offer is paused, by itself, with its kind or with everything."""
        return self.everything or offer_id in self.paused or kind in self.paused_kinds


class Guardrails(Part):
    """Limits over all offers together. `caps` are counted beside the cap of `cap_contacts` in `cap_days`."""

    cap_contacts: int | None = Field(
        default=3, ge=1, le=MAX_CONTACTS, description="most contacts a user in `cap_days`"
    )
    cap_days: Days = 30
    caps: tuple[Cap, ...] = Field(default=(), max_length=MAX_CAPS)
    cooldown_days: Days = Field(default=7, description="after any contact, before the next")
    kind_cooldown_days: dict[ActionKind, Days] = Field(
        default_factory=dict, description="after a contact of a kind, before the next of that kind"
    )
    consent: ConsentRules = ConsentRules()
    quiet_hours: QuietHours | None = None
    timezone: str = Field(default="UTC", description="IANA zone of users whose own is not known")
    holdout: Share = Field(default=0.05, description="share of users never acted upon, for comparison")
    salt: str = Field(default="holdout-1", min_length=1)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if zone_of(name) is None:
            message = f"{name} is no IANA time zone, for instance Europe/London"
            raise ValueError(message)
        return name

    def every_cap(self) -> tuple[Cap, ...]:
        """Returns all caps, that over all offers first."""
        if self.cap_contacts is None:
            return self.caps
        return (Cap(max=self.cap_contacts, days=self.cap_days), *self.caps)
