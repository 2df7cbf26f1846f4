"""What the system remembers of one user, and how one event changes it."""

from math import sqrt
from typing import Final

import msgspec

from forestay.core.event import EVENT_NAMES, PURCHASE, REFUND, Event
from forestay.core.steps import Step, add_step
from forestay.core.units import MINUTE
from forestay.core.windows import MAX_AMOUNT, REFUND_VALUE, SPEND, Ring, add, new_rings

#: Event ids remembered a user: a repeat is recognised if fewer than this many of the user's other events
#: were applied in between. 9 bytes each; replays after a crash are caught by offsets and do not need it.
MAX_EVENT_IDS: Final = 128
#: Orders remembered a user, so that an order counts once however many lines it has.
MAX_ORDERS: Final = 16
#: Contacts remembered a user for caps and cooldowns.
MAX_CONTACTS: Final = 32
#: A visit ends after this much silence, as in GA4.
VISIT_GAP: Final = 30 * MINUTE

NEVER: Final = -1


class Contact(msgspec.Struct, array_like=True, gc=False):
    """One action sent to the user: when (milliseconds) and which offer."""

    ts: int
    offer_id: str


class Score(msgspec.Struct, array_like=True, gc=False):
    """The last churn probability a model gave, when (milliseconds) and which version."""

    probability: float
    ts: int
    version: str


class Rhythm(msgspec.Struct, array_like=True, gc=False):
    """Visits and the gaps between them: count, sum and sum of squares of the gaps, in whole minutes.

    Kept in the order of arrival: an event no newer than the newest begins no visit and splits no gap.
    Minutes, because squares of milliseconds would leave 64 bits within a year.
    """

    visits: int = 0
    gap_sum: int = 0
    gap_squares: int = 0

    def mean_gap(self) -> float:
        """Returns the mean gap in milliseconds, 0.0 below two visits."""
        return self.gap_sum * MINUTE / (self.visits - 1) if self.visits > 1 else 0.0

    def gap_deviation(self) -> float:
        """Returns the population standard deviation of the gaps in milliseconds, 0.0 below three visits."""
        gaps = self.visits - 1
        if gaps < 2:  # noqa: PLR2004 - a deviation needs two gaps
            return 0.0
        # Integer arithmetic: the exact difference, where floats would cancel.
        return MINUTE * sqrt((self.gap_squares * gaps - self.gap_sum**2) / gaps**2)


class UserState(msgspec.Struct, array_like=True, gc=False, kw_only=True):
    """One user's state record; the field order is its layout in the changelog (`docs/state.md`).

    Times are milliseconds since the epoch, money hundredths of the currency. `partition` and `offset` are
    the source coordinates of the last event that changed or met this record: a replayed event at or
    before them is skipped (design D3). `scored_ts` is the moment of the user's last decision: a user's
    decisions have increasing moments, so none at or before it is made again.
    """

    partition: int
    offset: int = -1
    applied: int = 0
    duplicates: int = 0
    first_ts: int = NEVER
    last_ts: int = NEVER
    last_by_kind: list[int] = msgspec.field(default_factory=lambda: [NEVER] * len(EVENT_NAMES))
    totals: dict[int, int] = msgspec.field(default_factory=dict)
    rings: list[Ring] = msgspec.field(default_factory=new_rings)
    rhythm: Rhythm = msgspec.field(default_factory=Rhythm)
    orders: list[int] = msgspec.field(default_factory=list)
    event_ids: list[int] = msgspec.field(default_factory=list)
    steps: list[Step] = msgspec.field(default_factory=list)
    contacts: list[Contact] = msgspec.field(default_factory=list)
    score: Score | None = None
    scored_ts: int = NEVER
    silence_due: int = NEVER
    country: str | None = None
    timezone: str | None = None


def apply_event(state: UserState, event: Event) -> bool:
    """Applies one event; returns False, changing only the duplicate count, if its id was seen before."""
    if event.id_hash in state.event_ids:
        state.duplicates += 1
        return False
    state.event_ids.append(event.id_hash)
    if len(state.event_ids) > MAX_EVENT_IDS:
        del state.event_ids[0]
    state.applied += 1
    _advance_rhythm(state, event.ts)
    _count(state, event)
    add_step(state.steps, event)
    if event.country is not None:
        state.country = event.country
    if event.timezone is not None:
        state.timezone = event.timezone
    return True


def _advance_rhythm(state: UserState, ts: int) -> None:
    """Moves first and last activity; a gap of more than `VISIT_GAP` after the last one begins a visit."""
    if state.first_ts == NEVER:
        state.first_ts = state.last_ts = ts
        state.rhythm.visits = 1
        return
    gap = ts - state.last_ts
    if gap > VISIT_GAP:
        minutes = gap // MINUTE
        state.rhythm.visits += 1
        state.rhythm.gap_sum += minutes
        state.rhythm.gap_squares += minutes * minutes
    state.last_ts = max(state.last_ts, ts)
    state.first_ts = min(state.first_ts, ts)


def _count(state: UserState, event: Event) -> None:
    """Counts the event (an order once, by its first line to arrive) and its money."""
    kind, ts, latest = event.kind, event.ts, state.last_ts
    state.last_by_kind[kind] = max(state.last_by_kind[kind], ts)
    if not (event.order and _seen_order(state, event.order)):
        state.totals[kind] = state.totals.get(kind, 0) + 1
        add(state.rings, ts, latest, kind, 1)
    money = SPEND if kind == PURCHASE else REFUND_VALUE if kind == REFUND else None
    if money is not None and event.value:
        state.totals[money] = min(state.totals.get(money, 0) + event.value, MAX_AMOUNT)
        add(state.rings, ts, latest, money, event.value)


def _seen_order(state: UserState, order: int) -> bool:
    """Says whether the order was counted before, and remembers it."""
    if order in state.orders:
        return True
    state.orders.append(order)
    if len(state.orders) > MAX_ORDERS:
        del state.orders[0]
    return False
