"""What a training set is asked to be, in plain values that travel to any process."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from forestay.core.errors import UsageError
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, to_datetime
from forestay_schemas.types import rfc3339

_UNITS: Final = {"h": HOUR, "d": DAY}
_LONGEST: Final = 3_660 * DAY
#: Cutoffs of one set: a hundred years of fortnights, eleven years of days.
MAX_CUTOFFS: Final = 4_096
MAX_HORIZONS: Final = 16
#: Each partition takes an open file while events are read.
MAX_PARTITIONS: Final = 512


class Label(StrEnum):
    """What counts as having left, within a horizon after the cutoff."""

    NO_ORDER = "no_order"
    NO_EVENT = "no_event"
    LESS_SPEND = "less_spend"


class Split(StrEnum):
    """What a row is for; `GAP` is for nothing: its label looks into what others are judged on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
    GAP = "gap"


class Plan(NamedTuple):
    """All that says which rows there are and what they hold; times and spans in milliseconds.

    `cutoffs` and `horizons` rise. A user is active who had an order (for `NO_EVENT`: an event) at most `observed`
    before the cutoff. `validate_from` and `test_from` are None where nothing is held out. `lateness`, `idle` and
    `merge_identities` are the worker's.
    """

    cutoffs: tuple[int, ...]
    horizons: tuple[int, ...]
    observed: int
    label: Label = Label.NO_ORDER
    spend_share: float = 0.5
    validate_from: int | None = None
    test_from: int | None = None
    partitions: int = 16
    lateness: int = Rules().lateness
    idle: int = Rules().idle
    merge_identities: bool = True

    @property
    def rules(self) -> Rules:
        """Returns the core's rules, with the features the model reads."""
        return Rules(lateness=self.lateness, idle=self.idle, deduplicate=True)

    def check(self) -> None:
        """Says what cannot be.

        Raises:
            UsageError: there is such a thing.
        """
        for wrong, reason in self._reasons():
            if wrong:
                raise UsageError(reason)

    def _reasons(self) -> Iterable[tuple[bool, str]]:
        validate, test = self.validate_from, self.test_from
        yield not self.cutoffs, "no cutoff: say --cutoff TIME, or --every SPAN --from TIME --until TIME"
        yield len(self.cutoffs) > MAX_CUTOFFS, f"{len(self.cutoffs):,} cutoffs are more than {MAX_CUTOFFS:,}"
        yield not self.horizons, "no horizon: say --horizon SPAN, for instance 60d"
        yield len(self.horizons) > MAX_HORIZONS, f"{len(self.horizons)} horizons are more than {MAX_HORIZONS}"
        yield (
            self.observed > self.idle,
            f"--obs {span_text(self.observed)} is longer than users are remembered, {span_text(self.idle)}",
        )
        yield not 0 < self.spend_share <= 1, f"--spend-share {self.spend_share:g} does not lie in (0, 1]"
        yield not 1 <= self.partitions <= MAX_PARTITIONS, f"--partitions lies between 1 and {MAX_PARTITIONS}"
        yield (
            validate is not None and test is not None and validate >= test,
            "--validate-from lies before --test-from, or one of them is left out",
        )


def split_of(plan: Plan, cutoff: int) -> Split:
    """Returns what rows at `cutoff` are for; the longest horizon decides for all labels."""
    label_end = cutoff + plan.horizons[-1]
    later = [(plan.validate_from, Split.VALIDATION), (plan.test_from, Split.TEST)]
    split = Split.TRAIN
    for start, following in later:
        if start is None:
            continue
        if cutoff < start:
            return split if label_end <= start else Split.GAP
        split = following
    return split


def parse_span(text: str, flag: str) -> int:
    """Returns a span such as `14d` or `36h` in milliseconds; `flag` is where it stands.

    Raises:
        UsageError: it is none, or nothing, or longer than ten years.
    """
    match = re.fullmatch("([0-9]{1,6})([hd])", text)
    length = int(match[1]) * _UNITS[match[2]] if match else 0
    if not 0 < length <= _LONGEST:
        raise UsageError(f"{flag} {text}: write a span of days or hours, as 14d or 36h, of ten years at most")
    return length


def span_text(span: int) -> str:
    """Returns the shortest text that `parse_span` reads back."""
    return f"{span // DAY}d" if span % DAY == 0 else f"{span // HOUR}h"


def moment_text(moment: int) -> str:
    """Returns a moment as RFC 3339."""
    return rfc3339(to_datetime(moment))


def every(span: int, first: int, last: int) -> list[int]:
    """Returns the moments from `first`, one each `span`, to `last` at most.

    Raises:
        UsageError: they are too many.
    """
    if (last - first) // span >= MAX_CUTOFFS:
        raise UsageError(f"--every {span_text(span)} makes more than {MAX_CUTOFFS:,} cutoffs")
    return list(range(first, last + 1, span))
