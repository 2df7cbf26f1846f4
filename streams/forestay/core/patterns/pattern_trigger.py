"""One trigger 'A and then not B within T', and what is remembered of it for one user (`docs/triggers.md`).

Everything kept is a newest time or the newest few, so the order of arrival changes nothing, and two users'
memories put together are those of one. All is bounded: the newest `MAX_TIMES` A's, of an item the newest
`count`, and the newest B of `MAX_ITEMS` items.

Part of the hot path and made for mypyc: an A takes 50 to 100 ns, the more the more A's are kept, a B 100 ns.
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.patterns.moments import added, later, newer, place, without

NEVER: Final = -1
#: Times of A kept a user and trigger. Bounding times, not items, is what makes order not matter: an item
#: dropped and met again would have lost its older times in one order of arrival and not in another.
MAX_TIMES: Final = 64
#: Items whose newest B is kept; with more, all A's up to the oldest of these B's count as cancelled.
MAX_ITEMS: Final = 32
#: Triggers of a file: each relevant event is shown to each trigger that asks about it.
MAX_TRIGGERS: Final = 32


class PatternRule:
    """One trigger in the core's units; times are milliseconds, `within` is 0 where `count` is 1.

    `key` names it in state records; `horizon` is how long an A can matter once no earlier event can arrive.
    """

    __slots__ = ("after", "again_after", "by_item", "count", "horizon", "key", "name", "within")

    def __init__(
        self, name: str, key: i64, *, count: i64, within: i64, by_item: bool, after: i64, again_after: i64
    ) -> None:
        """Takes what `docs/triggers.md` describes."""
        self.name = name
        self.key = key
        self.count = count
        self.within = within
        self.by_item = by_item
        self.after = after
        self.again_after = again_after
        self.horizon: i64 = after + within


@mypyc_attr(acyclic=True)
class TriggerMemory:
    """What one user did about the trigger named `key`.

    `whens` are the A's, `unless` the newest B by item, and `dues` the due times of all that is pending, each as
    pairs of a moment and an item (`moments`); the item is 0 where the trigger is not by item. Every A at or before
    `cancelled` is cancelled whatever its item. `fired` is the due time of the last firing. `due` is the earliest of
    `dues`, `NEVER` if nothing is pending.
    """

    __slots__ = ("cancelled", "due", "dues", "fired", "key", "unless", "whens")

    def __init__(self, key: i64) -> None:
        """Starts without any memory."""
        self.key = key
        self.due: i64 = NEVER
        self.whens = vec[i64]()
        self.unless = vec[i64]()
        self.dues = vec[i64]()
        self.cancelled: i64 = NEVER
        self.fired: i64 = NEVER

    def is_empty(self) -> bool:
        """Says whether nothing is remembered."""
        return len(self.whens) == 0 and len(self.unless) == 0 and self.cancelled == NEVER and self.fired == NEVER

    def add_when(self, ts: i64, item: i64, rule: PatternRule) -> None:
        """Takes an A."""
        if ts <= self.cancelled:
            return
        whens = self.whens
        known: i64 = 0
        at: i64 = len(whens) - 2
        while at >= 0:
            if whens[at + 1] == item:
                known += 1
                if known == rule.count:
                    break
            at -= 2
        if at >= 0:
            if whens[at] >= ts:
                return
            whens = without(whens, at)
        elif len(whens) == 2 * MAX_TIMES:
            if ts < whens[0] or (ts == whens[0] and item < whens[1]):
                return
            # What loses a time has fewer than `count` left: it waits for nothing.
            self._set_due(whens[1], NEVER)
            whens = without(whens, 0)
        self.whens = added(whens, ts, item)
        if known + 1 >= rule.count:
            self._set_due(item, self._due_of(item, rule))

    def add_unless(self, ts: i64, item: i64, rule: PatternRule) -> None:
        """Takes a B; one that names no item (0) cancels for all items."""
        if ts <= self.cancelled:
            return
        if not rule.by_item or item == 0:
            self.cancel_until(ts)
            return
        unless = self.unless
        known = place(unless, item, 1)
        if known >= 0:
            if ts <= unless[known]:
                return
            unless = without(unless, known)
        self.unless = added(unless, ts, item)
        if place(self.dues, item, 1) >= 0:
            self._set_due(item, self._due_of(item, rule))
        if len(self.unless) > 2 * MAX_ITEMS:
            self.cancel_until(self.unless[0])

    def cancel_until(self, ts: i64) -> None:
        """Cancels every A at or before `ts`, and drops what this makes superfluous."""
        if ts > self.cancelled:
            self.cancelled = ts
            self._drop_until(ts)

    def mark_fired(self, rule: PatternRule) -> None:
        """Notes that it fired at `due`: what is due before `again_after` has passed never fires."""
        self.fired = self.due
        self._now_due(later(self.dues, self.fired + rule.again_after - 1))

    def absorb(self, other: "TriggerMemory", rule: PatternRule) -> None:
        """Takes over all that `other` remembers, and judges it."""
        self.fired = max(self.fired, other.fired)
        self.cancel_until(other.cancelled)
        unless, whens = other.unless, other.whens
        at: i64
        for at in range(0, len(unless), 2):
            self.add_unless(unless[at], unless[at + 1], rule)
        for at in range(0, len(whens), 2):
            self.add_when(whens[at], whens[at + 1], rule)
        self.judge(rule)

    def judge(self, rule: PatternRule) -> None:
        """Works out by `rule` alone what is pending, and drops the A's that it does not count."""
        self._now_due(vec[i64]())
        self._drop_until(self.cancelled)
        at: i64 = len(self.whens) - 2
        while at >= 0:
            later_ones = newer(self.whens, at)
            if later_ones >= rule.count:
                self.whens = without(self.whens, at)
            elif later_ones == rule.count - 1:
                item = self.whens[at + 1]
                self._set_due(item, self._due_of(item, rule))
            at -= 2

    def forget(self, watermark: i64, rule: PatternRule) -> None:
        """Drops what no event at or after `watermark` can make matter again, unless a firing is still owed."""
        if NEVER != self.due <= watermark:
            return
        last = watermark - rule.horizon
        self._drop_until(last)
        if self.cancelled <= last:
            self.cancelled = NEVER
        if self.fired + rule.again_after <= last:
            self.fired = NEVER

    def _drop_until(self, ts: i64) -> None:
        """Drops all times at or before `ts`, which are the first that the bounds would drop."""
        whens = self.whens
        end: i64 = len(whens) if self.due != NEVER else 0
        at: i64 = 0
        while at < end and whens[at] <= ts:
            self._set_due(whens[at + 1], NEVER)
            at += 2
        self.whens = later(whens, ts)
        self.unless = later(self.unless, ts)

    def _due_of(self, item: i64, rule: PatternRule) -> i64:
        """Returns when the trigger is due for `item`, `NEVER` if it is not pending."""
        whens = self.whens
        counted = place(whens, item, rule.count)
        if counted < 0:
            return NEVER
        oldest = whens[counted]
        newest = whens[place(whens, item, 1)]
        if rule.within > 0 and oldest <= newest - rule.within:
            return NEVER
        bought = place(self.unless, item, 1)
        if bought >= 0 and oldest <= self.unless[bought]:
            return NEVER
        due = newest + rule.after
        return NEVER if self.fired != NEVER and due < self.fired + rule.again_after else due

    def _set_due(self, item: i64, due: i64) -> None:
        """Changes the due time of `item`."""
        dues = self.dues
        known = place(dues, item, 1)
        if known >= 0:
            dues = without(dues, known)
        if due != NEVER:
            dues = added(dues, due, item)
        self._now_due(dues)

    def _now_due(self, dues: vec[i64]) -> None:
        self.dues = dues
        self.due = dues[0] if len(dues) > 0 else NEVER
