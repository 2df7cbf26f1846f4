"""One trigger 'A and then not B within T', and what is remembered of it for one user (`docs/triggers.md`).

Everything kept is a newest time or the newest few, so the order of arrival changes nothing, and two users'
memories put together are those of one. All is bounded: the newest `MAX_TIMES` A's, of an item the newest
`count`, and the newest B of `MAX_ITEMS` items.

Part of the hot path and made for mypyc: native classes, lists and dicts of ints, no closures. An A or a B
takes about 1 µs in plain Python.
"""

from bisect import bisect_right
from typing import Final

from mypy_extensions import mypyc_attr

NEVER: Final[int] = -1
#: Times of A kept a user and trigger. Bounding times, not items, is what makes order not matter: an item
#: dropped and met again would have lost its older times in one order of arrival and not in another.
MAX_TIMES: Final[int] = 64
#: Items whose newest B is kept; with more, all A's up to the oldest of these B's count as cancelled.
MAX_ITEMS: Final[int] = 32


class PatternRule:
    """One trigger in the core's units; times are milliseconds, `within` is 0 where `count` is 1.

    `key` names it in state records; `horizon` is how long an A can matter once no earlier event can arrive.
    """

    __slots__ = ("after", "again_after", "by_item", "count", "horizon", "key", "name", "within")

    def __init__(
        self, name: str, key: int, *, count: int, within: int, by_item: bool, after: int, again_after: int
    ) -> None:
        """Takes what `docs/triggers.md` describes."""
        self.name = name
        self.key = key
        self.count = count
        self.within = within
        self.by_item = by_item
        self.after = after
        self.again_after = again_after
        self.horizon = after + within


@mypyc_attr(acyclic=True)
class TriggerMemory:
    """What one user did about one trigger.

    `times` and `items` are the A's, ascending by both (item 0 where the trigger is not by item). `unless` is
    the newest B by item; every A at or before `cancelled` is cancelled whatever its item. `fired` is the due
    time of the last firing. `due` is the earliest of `dues`, the due times by item of all that is pending.
    """

    __slots__ = ("cancelled", "due", "dues", "fired", "items", "times", "unless")

    def __init__(self) -> None:
        """Starts without any memory."""
        self.times: list[int] = []
        self.items: list[int] = []
        self.unless: dict[int, int] = {}
        self.cancelled: int = NEVER
        self.fired: int = NEVER
        self.dues: dict[int, int] = {}
        self.due: int = NEVER

    def is_empty(self) -> bool:
        """Says whether nothing is remembered."""
        return not self.times and not self.unless and self.cancelled == NEVER and self.fired == NEVER

    def add_when(self, ts: int, item: int, rule: PatternRule) -> None:
        """Takes an A."""
        if ts <= self.cancelled:
            return
        times = self.times
        items = self.items
        if items.count(item) == rule.count:
            oldest = items.index(item)
            if times[oldest] >= ts:
                return
            del times[oldest], items[oldest]
        at = len(times)
        while at > 0 and (times[at - 1] > ts or (times[at - 1] == ts and items[at - 1] > item)):
            at -= 1
        if len(times) == MAX_TIMES:
            if at == 0:
                return
            # What loses a time has fewer than `count` left: it waits for nothing.
            self._set_due(items[0], NEVER)
            del times[0], items[0]
            at -= 1
        times.insert(at, ts)
        items.insert(at, item)
        self._set_due(item, self._due_of(item, rule))

    def add_unless(self, ts: int, item: int, rule: PatternRule) -> None:
        """Takes a B; one that names no item (0) cancels for all items."""
        if ts <= self.cancelled:
            return
        if not rule.by_item or item == 0:
            self.cancel_until(ts)
            return
        unless = self.unless
        if ts <= unless.get(item, NEVER):
            return
        unless[item] = ts
        if item in self.dues:
            self._set_due(item, self._due_of(item, rule))
        if len(unless) > MAX_ITEMS:
            self.cancel_until(min(unless.values()))

    def cancel_until(self, ts: int) -> None:
        """Cancels every A at or before `ts`, and drops what this makes superfluous."""
        if ts > self.cancelled:
            self.cancelled = ts
            self._drop_until(ts)

    def mark_fired(self, rule: PatternRule) -> None:
        """Notes that it fired at `due`: what is due before `again_after` has passed never fires."""
        self.fired = self.due
        earliest = self.fired + rule.again_after
        self.dues = {item: due for item, due in self.dues.items() if due >= earliest}
        self.due = min(self.dues.values()) if self.dues else NEVER

    def absorb(self, other: "TriggerMemory", rule: PatternRule) -> None:
        """Takes over all that `other` remembers; dues are made anew."""
        self.fired = max(self.fired, other.fired)
        self.cancel_until(other.cancelled)
        for item, ts in other.unless.items():
            self.add_unless(ts, item, rule)
        for at in range(len(other.times)):
            self.add_when(other.times[at], other.items[at], rule)
        for item in list(self.dues):
            # They may have been set before `fired` and `unless` were known.
            self._set_due(item, self._due_of(item, rule))

    def forget(self, watermark: int, rule: PatternRule) -> None:
        """Drops what no event at or after `watermark` can make matter again, unless a firing is still owed."""
        if self.due != NEVER and self.due <= watermark:
            return
        last = watermark - rule.horizon
        self._drop_until(last)
        if self.cancelled <= last:
            self.cancelled = NEVER
        if self.fired + rule.again_after <= last:
            self.fired = NEVER

    def _drop_until(self, ts: int) -> None:
        """Drops all times at or before `ts`, which are the first that the bounds would drop."""
        times = self.times
        if times and times[0] <= ts:
            number = bisect_right(times, ts)
            for item in self.items[:number]:
                self._set_due(item, NEVER)
            del times[:number], self.items[:number]
        if self.unless and min(self.unless.values()) <= ts:
            self.unless = {item: at for item, at in self.unless.items() if at > ts}

    def _due_of(self, item: int, rule: PatternRule) -> int:
        """Returns when the trigger is due for `item`, `NEVER` if it is not pending."""
        items = self.items
        if items.count(item) < rule.count:
            return NEVER
        last = len(items) - 1
        while items[last] != item:
            last -= 1
        newest = self.times[last]
        oldest = self.times[items.index(item)]
        if oldest <= self.unless.get(item, NEVER) or (rule.within and oldest <= newest - rule.within):
            return NEVER
        due = newest + rule.after
        return NEVER if self.fired != NEVER and due < self.fired + rule.again_after else due

    def _set_due(self, item: int, due: int) -> None:
        """Changes the due time of `item`; the earliest is searched only when the earliest went."""
        before = self.dues.get(item, NEVER)
        if due == before:
            return
        if due == NEVER:
            del self.dues[item]
        else:
            self.dues[item] = due
        if due != NEVER and (self.due == NEVER or due < self.due):
            self.due = due
        elif before == self.due:
            self.due = min(self.dues.values()) if self.dues else NEVER
