"""What the system remembers of one user, and how one event changes it."""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from forestay.core.event import NEVER, Event
from forestay.core.families.family import Part
from forestay.core.patterns.patterns import PatternMemory
from forestay.core.rewards.pending import PendingReward
from forestay.core.state.consent import Consent
from forestay.core.state.contact import Contact, Score
from forestay.core.state.event_ids import EventIds
from forestay.core.state.held import Held
from forestay.core.state.identity import Identity

#: Orders remembered a user, so that an order counts once however many lines it has.
MAX_ORDERS: Final = 64


@mypyc_attr(acyclic=True)
class UserState:
    """One user's state. Times are milliseconds since the epoch.

    `offset` is that of the last click event that changed or met this record, in the partition's own source: a
    replayed event at or before it is skipped (design D3). `scored_ts` is the moment of the user's last
    decision: a user's decisions have increasing moments, so none at or before it is made again. `seen_clock`
    is the partition's clock when the last event was applied: silences due before it were never waited for.
    `pending` are decisions whose outcome is waited for, the oldest first, None without any.
    `armed` is the minute of the timer that stands for this user.
    """

    __slots__ = (
        "applied",
        "armed",
        "consents",
        "contacts",
        "country",
        "country_ts",
        "duplicates",
        "event_ids",
        "held",
        "identity",
        "last_ts",
        "offset",
        "orders",
        "parts",
        "patterns",
        "pending",
        "score",
        "scored_ts",
        "seen_clock",
        "timezone",
        "timezone_ts",
    )

    def __init__(self, parts: list[Part]) -> None:
        """Starts as a user without events; `parts` are the feature set's."""
        self.offset: i64 = -1
        self.applied: i64 = 0
        self.duplicates: i64 = 0
        self.last_ts: i64 = NEVER
        self.event_ids = EventIds()
        self.orders: dict[int, int] = {}
        self.parts = parts
        self.patterns: PatternMemory | None = None
        self.contacts: list[Contact] = []
        self.pending: list[PendingReward] | None = None
        self.held: list[Held] = []
        self.consents: list[Consent] = []
        self.score: Score | None = None
        self.scored_ts: i64 = NEVER
        self.seen_clock: i64 = NEVER
        self.country: str | None = None
        self.country_ts: i64 = NEVER
        self.timezone: str | None = None
        self.timezone_ts: i64 = NEVER
        self.identity: Identity | None = None
        self.armed: i64 = NEVER


def apply_event(state: UserState, event: Event, lateness: i64) -> None:
    """Applies one event that was not seen before and is not too late; `lateness` in milliseconds."""
    if event.order:
        count_order(state, event, lateness)
    count_event(state, event)


def count_event(state: UserState, event: Event) -> None:
    """Counts an event that is known to be new, and whose order was counted, under this id or another of the user."""
    before = state.last_ts
    if event.ts > before:
        state.last_ts = event.ts
    state.applied += 1
    for part in state.parts:
        part.update(event, state.last_ts)
    if event.country is not None and event.ts >= state.country_ts:
        # Of two at the same moment the larger stands, whatever came first.
        if event.ts > state.country_ts or state.country is None or event.country > state.country:
            state.country = event.country
        state.country_ts = event.ts
    if event.timezone is not None and event.ts >= state.timezone_ts:
        if event.ts > state.timezone_ts or state.timezone is None or event.timezone > state.timezone:
            state.timezone = event.timezone
        state.timezone_ts = event.ts


def count_order(state: UserState, event: Event, lateness: i64) -> None:
    """Makes the order count once, at its earliest line; lines later by more than the lateness are another order."""
    orders = state.orders
    known = orders.get(event.order, NEVER)
    if known == NEVER or event.ts > known + lateness:
        orders[event.order] = event.ts
        if len(orders) > MAX_ORDERS:
            state.orders = remembered_orders(orders, NEVER)
        return
    event.counts = 0
    if event.ts < known:
        event.moved_from = known
        orders[event.order] = event.ts


def remembered_orders(orders: dict[int, int], oldest: i64) -> dict[int, int]:
    """Returns the newest orders that are not older than `oldest`."""
    pairs = sorted([(ts, order) for order, ts in orders.items() if ts >= oldest], reverse=True)
    return {order: ts for ts, order in pairs[:MAX_ORDERS]}
