"""The shop's triggers as it writes them (`docs/triggers.md`), checked, and turned into the core's rules."""

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from forestay.core.event import EVENT_CODES
from forestay.core.hashing import hash64
from forestay.core.patterns.pattern_trigger import MAX_TRIGGERS, PatternRule
from forestay.core.patterns.patterns import PatternRules
from forestay.core.units import DAY, HOUR, MINUTE, SECOND
from forestay_schemas.types import EventName

#: A user's newest 64 times are kept: at a count of 10 those of six items at least.
MAX_COUNT: Final[int] = 10
LONGEST: Final[int] = 90 * DAY
_UNITS: Final[dict[str, int]] = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
#: 32 bits name a trigger in state records: 5 bytes there, and no two of a file may agree.
_KEY_BITS: Final[int] = 2**32 - 1


def _milliseconds(value: Any) -> int:
    """Reads a duration as a file writes it: a whole number and a unit."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration is a whole number with its unit: 90s, 30m, 1h or 7d")
    length = int(match[1]) * _UNITS[match[2]]
    if not SECOND <= length <= LONGEST:
        raise ValueError("a duration lies between 1s and 90d")
    return length


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(_milliseconds, json_schema_input_type=str)]
TriggerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
EventNames = Annotated[tuple[EventName, ...], Field(max_length=len(EventName)), BeforeValidator(_listed)]


class TriggerDefinition(BaseModel):
    """One trigger 'A and then not B within T'; durations are milliseconds once read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: TriggerName
    when: Annotated[EventNames, Field(min_length=1)] = Field(description="A: any of these events")
    count: int = Field(default=1, ge=1, le=MAX_COUNT, strict=True, description="how many A's it takes")
    within: Duration | None = Field(default=None, description="how long before the newest A the others may lie")
    same: Literal["item"] | None = Field(default=None, description="item: A's and B's are of one item")
    unless: EventNames = Field(default=(), description="B: any of these events")
    after: Duration = Field(description="T: how long after the newest A it is due")
    again_after: Duration = Field(default=DAY, description="before it fires for the user again")

    @model_validator(mode="after")
    def _can_fire(self) -> Self:
        if self.count > 1 and self.within is None:
            raise ValueError("a count above 1 needs `within`: how far apart the events may lie")
        if self.count == 1 and self.within is not None:
            raise ValueError("`within` says how far apart several events may lie: it needs a count above 1")
        both = sorted(set(self.when) & set(self.unless))
        if both:
            raise ValueError(f"{', '.join(both)} stands in `when` and in `unless`: it would cancel itself")
        return self

    @property
    def key(self) -> int:
        """Returns what names the trigger in state records; asking by item and not by item are two."""
        return hash64(f"{self.name}\x1f{self.same or ''}") & _KEY_BITS

    def rule(self) -> PatternRule:
        """Returns the trigger in the core's units."""
        return PatternRule(
            self.name,
            self.key,
            count=self.count,
            within=self.within or 0,
            by_item=self.same == "item",
            after=self.after,
            again_after=self.again_after,
        )


class Triggers(BaseModel):
    """All triggers of a shop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    triggers: tuple[TriggerDefinition, ...] = Field(max_length=MAX_TRIGGERS)

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        names: set[str] = set()
        keys: dict[int, str] = {}
        for trigger in self.triggers:
            if trigger.name in names:
                raise ValueError(f"two triggers are named {trigger.name}")
            names.add(trigger.name)
            other = keys.setdefault(trigger.key, trigger.name)
            if other != trigger.name:
                raise ValueError(f"state records cannot tell {other} and {trigger.name} apart: rename one")
        return self

    def rules(self) -> PatternRules:
        """Returns the rules that `PatternMemory` takes; make them once, each set judges all memory anew."""
        return PatternRules(
            [(trigger.rule(), _codes(trigger.when), _codes(trigger.unless)) for trigger in self.triggers]
        )


def _codes(names: tuple[EventName, ...]) -> list[int]:
    """Returns the codes of event names, each once."""
    return sorted({EVENT_CODES[name] for name in names})
