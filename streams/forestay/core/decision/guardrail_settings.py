"""What a shop writes under `guardrails` in its catalogue: limits over all offers together (`docs/guardrails.md`)."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from forestay.core.state.contact import MAX_CONTACTS
from forestay_schemas.types import ActionKind, Label

Share = Annotated[float, Field(ge=0, le=1)]
Money = Annotated[float, Field(ge=0, le=1e7)]
Days = Annotated[float, Field(ge=0, le=3650)]

#: Caps a catalogue may have; each is counted for every decision.
MAX_CAPS: Final = 32


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
    holdout: Share = Field(default=0.05, description="share of users never acted upon, for comparison")
    salt: str = Field(default="holdout-1", min_length=1)

    def every_cap(self) -> tuple[Cap, ...]:
        """Returns all caps, that over all offers first."""
        if self.cap_contacts is None:
            return self.caps
        return (Cap(max=self.cap_contacts, days=self.cap_days), *self.caps)
