"""When each user must have been decided upon: after purchases, in silences, and over carts left alone.

From docs/features.md (sessions, silence), docs/triggers.md and docs/architecture.md. Each user is looked at alone:
what the others did shows in the clock that stood when the user's events were taken in.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import fsum
from statistics import pstdev
from typing import Final, NamedTuple

from forestay_chaos.oracle_truth import Counted
from forestay_chaos.traffic import DAY, HOUR

_UNKNOWN_RHYTHM: Final = 14 * DAY
_SHORTEST: Final = DAY
_LONGEST: Final = 60 * DAY
_LAST: Final = 180 * DAY
_SESSION_SECONDS: Final = 1_800
_SESSIONS: Final = 64
#: Fewer are no rhythm.
_FEWEST_SESSIONS: Final = 4
#: Of the one trigger in triggers.yaml.
_CART_AFTER: Final = HOUR
_CART_AGAIN: Final = DAY
_CART_UNLESS: Final = ("begin_checkout", "purchase")


class Moment(NamedTuple):
    """A decision that must be: when, why, and after which event."""

    ts: int
    kind: str
    event_id: str | None


def first_silence(seconds: Sequence[int]) -> int:
    """Returns how long a user must be silent, in milliseconds; `seconds` are those of all their events."""
    chains: list[list[int]] = []
    for second in sorted(seconds):
        if not chains or second - chains[-1][1] > _SESSION_SECONDS:
            chains.append([second, second])
        chains[-1][1] = second
    if len(chains) < _FEWEST_SESSIONS:
        return _UNKNOWN_RHYTHM
    gaps = [following[0] - earlier[1] for earlier, following in pairwise(chains[-_SESSIONS:])]
    silence = round(fsum(gaps) / len(gaps) + 2 * pstdev(gaps)) * 1_000
    return min(max(silence, _SHORTEST), _LONGEST)


def silences(last: int, first: int) -> Iterator[int]:
    """Yields when a user whose last event was at `last` is silent for remarkably long."""
    silence = first
    while silence <= _LAST:
        yield last + silence
        silence *= 2


class _User:
    """Lives through one user's events."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self._seconds: list[int] = []
        self._last = self._decided = self._looked = -1
        self._added = self._cancelled = -1
        self._fired: int | None = None
        self._first: int | None = None

    def wake(self, clock: int) -> None:
        """Does what is due up to `clock`."""
        while self._last >= 0:
            cart, silence = self._cart(), self._silence()
            due = min(cart, silence)
            if due > clock:
                return
            if cart == due:
                self._fired = cart
            if due > self._decided:
                self._decide(due, "pattern" if cart == due else "silence")

    def take(self, event: Counted) -> None:
        """Counts an event."""
        self._last = max(self._last, event.ts)
        self._looked = event.clock
        self._seconds.append(event.ts // 1_000)
        self._first = None
        if event.kind == "add_to_cart":
            self._added = max(self._added, event.ts)
        elif event.kind in _CART_UNLESS:
            self._cancelled = max(self._cancelled, event.ts)
        if event.kind == "purchase" and event.ts >= self._last and event.ts > self._decided:
            self._decide(event.ts, "event", event.event_id)

    def _decide(self, ts: int, kind: str, event_id: str | None = None) -> None:
        self._decided = ts
        self.moments.append(Moment(ts, kind, event_id))

    def _cart(self) -> int:
        due = self._added + _CART_AFTER
        pending = self._added > self._cancelled and (self._fired is None or due >= self._fired + _CART_AGAIN)
        return due if pending else 1 << 62

    def _silence(self) -> int:
        if self._first is None:
            # Of those with an unknown or a long rhythm most are never asked.
            self._first = first_silence(self._seconds)
        after = max(self._decided, self._looked)
        return next((due for due in silences(self._last, self._first) if due > after), 1 << 62)


def moments_of(events: Sequence[Counted], clock: int) -> list[Moment]:
    """Returns every moment at which the user is decided upon; `clock` is what the partition's shows at last."""
    user = _User()
    for event in events:
        user.wake(event.clock)
        user.take(event)
    user.wake(clock)
    return user.moments


def dues_of(events: Sequence[Counted]) -> set[int]:
    """Returns when a user could be due after these events, if the clock runs on and nothing more comes."""
    carts = {event.ts + _CART_AFTER for event in events if event.kind == "add_to_cart"}
    if not events:
        return carts
    first = first_silence([event.ts // 1_000 for event in events])
    return carts | set(silences(max(event.ts for event in events), first))


def last_silences(events: Sequence[Counted], clock: int) -> list[Moment]:
    """Returns the silences after the last event of a user; those before are not looked at."""
    first = first_silence([event.ts // 1_000 for event in events])
    last = max(event.ts for event in events)
    return [Moment(due, "silence", None) for due in silences(last, first) if due <= clock]
