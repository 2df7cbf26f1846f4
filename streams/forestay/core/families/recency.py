"""How long ago each kind of event last happened (`docs/features.md`)."""

from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from forestay.core.event import EVENT_NAMES, NEVER, Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.units import HOUR

#: Stands for 'never happened' where a feature is a time since something: two years in hours.
NEVER_HOURS: Final[float] = 17_520.0
_KINDS: Final[int] = len(EVENT_NAMES)


def hours_since(ts: int, now: int) -> float:
    """Returns hours from `ts` to `now`, `NEVER_HOURS` if it never was and at most that."""
    return NEVER_HOURS if ts == NEVER else min(max(now - ts, 0) / HOUR, NEVER_HOURS)


class Recency(Family):
    """The family."""

    __slots__ = ()

    def __init__(self) -> None:
        """Has one feature an event kind, and one for any."""
        super().__init__(3, "recency", _features())

    def new(self) -> Part:
        """Returns a part in which nothing ever happened."""
        return RecencyPart()

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Reads kind and time before the user's newest moment, alternately."""
        part = RecencyPart()
        for at in range(0, len(plain), 2):
            part.last[plain[at]] = latest - plain[at + 1]
        return part


@mypyc_attr(acyclic=True)
class RecencyPart(Part):
    """Event kind -> its newest moment."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        """Starts empty."""
        self.last: dict[int, int] = {}

    def update(self, event: Event, latest: int) -> None:
        """A later moment is never overwritten by an earlier one."""
        if event.ts > self.last.get(event.kind, NEVER):
            self.last[event.kind] = event.ts

    def merge(self, other: Part, latest: int) -> None:
        """Of each kind the newer moment stays."""
        theirs = cast(RecencyPart, other)
        for kind, ts in theirs.last.items():
            if ts > self.last.get(kind, NEVER):
                self.last[kind] = ts

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends hours since each kind, then since any."""
        for kind in range(_KINDS):
            into.append(hours_since(self.last.get(kind, NEVER), now))
        into.append(hours_since(latest, now))

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Writes each kind and how long before the newest moment it was."""
        plain: list[Any] = []
        for kind in sorted(self.last):
            plain.append(kind)
            plain.append(latest - self.last[kind])
        return plain


def _features() -> list[Feature]:
    features = [
        Feature(f"hours_since_{name}", f"time since the last {name}", "hours", NEVER_HOURS) for name in EVENT_NAMES
    ]
    features.append(Feature("hours_since_last_event", "time since the last event of any kind", "hours", NEVER_HOURS))
    return features
