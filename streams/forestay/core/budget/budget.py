"""A budget, as the catalogue states it: how much may be spent, of what, in which time."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from forestay.core.units import DAY, to_datetime, to_milliseconds
from forestay_schemas.types import Identifier

#: What a campaign's account has in place of a day.
WHOLE_CAMPAIGN: Final = "campaign"
#: Hundredths of the currency, or points: far below what a word of 64 bits holds, so sums of them do too.
MOST_UNITS: Final = 10**15
_Amount = Annotated[int, Field(ge=0, le=MOST_UNITS, strict=True)]
_HOURS: Final = 24


class Unit(StrEnum):
    """What a budget counts: hundredths of the shop's currency, or points."""

    MONEY = "money"
    POINTS = "points"


class Period(StrEnum):
    """How long a budget lasts: a day in UTC, after which there is a new one, or a campaign, once."""

    DAY = "day"
    CAMPAIGN = "campaign"


class Span(NamedTuple):
    """A time during which a budget may be spent: `name` on records, `begin` and `end` (exclusive) in milliseconds."""

    name: str
    begin: int
    end: int


class Budget(BaseModel):
    """What may be spent, in whole hundredths of the currency or whole points, never in fractions of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: Identifier
    unit: Unit = Unit.MONEY
    period: Period = Period.DAY
    limit: _Amount = Field(description="most that may be spent in one period, in hundredths or points")
    arms: dict[Identifier, _Amount] = Field(
        default_factory=dict,
        description="limits by arm of an experiment; users in no such arm then get nothing of it",
    )
    starts: date | None = Field(default=None, description="first day of a campaign, in UTC")
    ends: date | None = Field(default=None, description="last day of a campaign, in UTC")
    hours: tuple[Annotated[float, Field(ge=0, le=1e6)], ...] = Field(
        default=(1.0,) * _HOURS, description="how spending is to be spread over the hours of a day in UTC"
    )
    worth: float = Field(default=0.01, gt=0, le=1e6, description="what one point is worth, in the shop's currency")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        campaign = self.period is Period.CAMPAIGN
        if (self.starts is None) != (not campaign) or (self.ends is None) != (not campaign):
            raise ValueError("a campaign has a first and a last day (`starts`, `ends`), a daily budget has neither")
        if self.starts is not None and self.ends is not None and self.ends < self.starts:
            raise ValueError("the campaign ends before it starts")
        if self.ends == date.max:
            # It is over at the midnight after, which no date has.
            raise ValueError(f"the campaign ends with the calendar: let `ends` be a day before {date.max}")
        if len(self.hours) != _HOURS or not any(self.hours):
            raise ValueError("`hours` has 24 weights, from midnight UTC on, not all of them 0")
        if self.unit is Unit.MONEY and self.worth != 0.01:  # noqa: PLR2004 - one hundredth
            raise ValueError("`worth` is for points: a hundredth of the currency is worth 0.01")
        if sum(self.arms.values()) > self.limit:
            raise ValueError(f"the arms have {sum(self.arms.values())} together, the budget {self.limit}")
        return self

    def span_at(self, moment: int) -> Span | None:
        """Returns the period that `moment` (milliseconds) lies in, None if it lies in none."""
        if self.starts is None or self.ends is None:
            begin = moment // DAY * DAY
            return Span(to_datetime(begin).date().isoformat(), begin, begin + DAY)
        begin, end = _midnight(self.starts), _midnight(self.ends + timedelta(days=1))
        return Span(WHOLE_CAMPAIGN, begin, end) if begin <= moment < end else None

    def limit_of(self, arm: str | None) -> int:
        """Returns what users in `arm` may have of it; all share it if the budget knows no arms."""
        return self.arms.get(arm or "", 0) if self.arms else self.limit


def _midnight(day: date) -> int:
    return to_milliseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))
