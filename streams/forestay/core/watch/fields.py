"""Whether fields of events go missing or stop changing, within minutes of traffic.

What is usual is learned from the traffic before, for each kind of event by itself, so that another mix of kinds is
no change. How far the last minutes are from it is bounded for any number of events: the chance that a share of at
least q of n is seen where p is usual is at most exp(-n KL(q || p)) (Hoeffding, Journal of the American Statistical
Association 58, 1963; p may be the mean of several).
"""

from math import inf, log
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.event import EVENT_NAMES
from forestay.core.watch.ring import Ring
from forestay.core.watch.seen import FIELDS, Seen

#: What is held against the usual: so many buckets of a minute and of at least so many events.
_BUCKETS: Final = 5
_LEAST_IN_BUCKET: Final = 40
#: The usual is forgotten by half in a week of traffic.
_DECAY: Final = 0.5 ** (1 / (7 * 24 * 60))
#: Events of a kind before it is known what is usual of them, and events that are held against it.
_LEAST_KNOWN: Final = 200
_LEAST_RECENT: Final = 50
#: Events that count as one, at least: those of a user within minutes are alike, whatever the field.
_ALIKE: Final = 8
#: Evidence for an alarm, in units of e: by chance once in 9 million looks.
_EVIDENCE: Final = 16.0
#: What shares must differ by: a campaign moves them by less, a broken field by all there is.
LEAST_DIFFERENCE: Final = 0.1

#: What is counted, in the order of a table's first axis; the second is the kind of event, the third the field.
_EVENTS, _MISSING, _REPEATED, _TURNS = range(4)
#: What can happen to a field.
TROUBLES: Final = ("missing", "repeated")
_SHAPE: Final = (4, len(EVENT_NAMES), len(FIELDS))


class Share(NamedTuple):
    """A share of the recent events: what is seen, what is usual (None while that is not known), and of how many.

    `turns`: how often one user's events followed another's.
    """

    seen: float
    usual: float | None
    events: int
    turns: int

    @property
    def is_broken(self) -> bool:
        """Says whether the share is higher than chance and custom explain."""
        if self.usual is None or self.events < _LEAST_RECENT or self.seen - self.usual < LEAST_DIFFERENCE:
            return False
        return min(self.events / _ALIKE, self.turns) * _divergence(self.seen, self.usual) >= _EVIDENCE


class Fields:
    """Counts of one partition: the last minutes, and all before."""

    def __init__(self) -> None:
        """Starts empty."""
        self._recent = Ring(_BUCKETS, *_SHAPE)
        self._recent.advance(0)
        self._minute = -1
        #: When the newest bucket began, and its events.
        self._begun = 0
        self._events = 0
        self.usual = np.zeros(_SHAPE)
        #: Fields (trouble, field) that are broken now: their counts do not become usual.
        self.frozen = np.zeros((len(TROUBLES), len(FIELDS)), dtype=bool)

    @property
    def recent(self) -> NDArray[np.float64]:
        """Returns the counts of the last minutes, or of the last 200 events where these took longer."""
        return self._recent.total

    def take(self, minute: int, seen: Seen) -> bool:
        """Adds a batch's counts in the minute of event time it ended at; returns whether a minute has begun."""
        begun = minute > self._minute
        if begun:
            self._minute = minute
            if self._events >= _LEAST_IN_BUCKET:
                self._next(minute)
        events = sum(seen.events)
        if events:
            self._events += events
            self._recent.add(_table(seen))
        return begun

    def _next(self, minute: int) -> None:
        """Begins a bucket; the oldest becomes usual."""
        gone = self._recent.advance(self._recent.newest + 1)
        self.usual *= _DECAY ** min(minute - self._begun, 1_000_000)
        if self.frozen.any():
            # The events too, for a share is of them.
            gone *= ~self.frozen.any(axis=0)
        self.usual += gone
        self._begun, self._events = minute, 0


def shares(parts: list[Fields]) -> dict[tuple[str, str], Share]:
    """Returns, by field and trouble, what the last minutes of all `parts` have of it."""
    recent = np.sum([part.recent for part in parts], axis=0) if parts else np.zeros(_SHAPE)
    usual = np.sum([part.usual for part in parts], axis=0) if parts else np.zeros(_SHAPE)
    return {
        (field, trouble): _share(recent[:, :, at], usual[:, :, at], 1 + row)
        for at, field in enumerate(FIELDS)
        for row, trouble in enumerate(TROUBLES)
    }


def _share(recent: NDArray[np.float64], usual: NDArray[np.float64], row: int) -> Share:
    known = usual[_EVENTS] >= _LEAST_KNOWN
    events = recent[_EVENTS]
    of_known = float(events[known].sum())
    if not of_known:
        total = float(events.sum())
        return Share(float(recent[row].sum()) / total if total else 0.0, None, round(total), 0)
    expected = (usual[row][known] + 0.5) / (usual[_EVENTS][known] + 1)
    return Share(
        float(recent[row][known].sum()) / of_known,
        float((expected * events[known]).sum()) / of_known,
        round(of_known),
        round(float(recent[_TURNS][known].sum())),
    )


def _table(seen: Seen) -> NDArray[np.float64]:
    by_field = np.array((seen.missing, seen.repeated), np.float64).reshape(2, *_SHAPE[1:])
    by_kind = np.array((seen.events, seen.turns), np.float64)
    table = np.empty(_SHAPE)
    table[_EVENTS], table[_TURNS] = by_kind[0][:, None], by_kind[1][:, None]
    table[_MISSING : _REPEATED + 1] = by_field
    return table


def _divergence(seen: float, usual: float) -> float:
    """Returns KL(seen || usual) of two shares, in units of e; `usual` is neither 0 nor 1."""
    if not 0 < usual < 1:
        return inf
    here = seen * log(seen / usual) if seen else 0.0
    there = (1 - seen) * log((1 - seen) / (1 - usual)) if seen < 1 else 0.0
    return here + there
