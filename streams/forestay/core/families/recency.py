"""How long ago each kind of event last happened (`docs/features.md`)."""

from typing import Final, cast

from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.event import EVENT_NAMES, NEVER, Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import HOUR

#: Stands for 'never happened' where a feature is a time since something: two years in hours.
NEVER_HOURS: Final = 17_520.0
_KINDS: Final[i64] = len(EVENT_NAMES)
#: The features of a user of whom nothing is known but that there is one: taken over, not made anew for each kind.
_NOTHING: Final[list[float]] = [NEVER_HOURS] * len(EVENT_NAMES)


def hours_since(ts: i64, now: i64) -> float:
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

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Reads kind and time before the user's newest moment, alternately."""
        part = RecencyPart()
        while reader.more():
            kind = reader.count(_KINDS - 1)
            part.note(kind, latest - reader.count(latest))
        return part


@mypyc_attr(acyclic=True)
class RecencyPart(Part):
    """Event kind -> its newest moment, `NEVER` if there is none; kinds behind the last that happened are left out."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        """Starts empty."""
        self.last = vec[i64]()

    def note(self, kind: i64, ts: i64) -> None:
        """A later moment is never overwritten by an earlier one."""
        while kind >= len(self.last):
            self.last = append(self.last, NEVER)
        self.last[kind] = max(self.last[kind], ts)

    def update(self, event: Event, latest: i64) -> None:
        """Notes the event's moment."""
        self.note(event.kind, event.ts)

    def merge(self, other: Part, latest: i64) -> None:
        """Of each kind the newer moment stays."""
        theirs = cast(RecencyPart, other).last
        for kind in range(len(theirs)):
            self.note(kind, theirs[kind])

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends hours since each kind, then since any."""
        first: i64 = len(into)
        into.extend(_NOTHING)
        last = self.last
        for kind in range(len(last)):
            if last[kind] != NEVER:
                into[first + kind] = hours_since(last[kind], now)
        into.append(hours_since(latest, now))

    def pick(self, now: i64, latest: i64, wanted: vec[i64], into: vec[float], at: i64) -> i64:
        """Puts those of the `values` that are wanted."""
        last = self.last
        for kind in wanted:
            ts = latest
            if kind < _KINDS:
                ts = NEVER
                if kind < len(last):
                    ts = last[kind]
            into[at] = hours_since(ts, now)
            at += 1
        return at

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes each kind that happened and how long before the newest moment it did, in order of kinds."""
        last = self.last
        for kind in range(len(last)):
            if last[kind] != NEVER:
                writer.number(kind)
                writer.number(latest - last[kind])


def _features() -> list[Feature]:
    features = [
        Feature(f"hours_since_{name}", f"time since the last {name}", "hours", NEVER_HOURS) for name in EVENT_NAMES
    ]
    features.append(Feature("hours_since_last_event", "time since the last event of any kind", "hours", NEVER_HOURS))
    return features
