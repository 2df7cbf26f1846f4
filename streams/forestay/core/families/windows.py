"""Counts and money over rolling windows, kept in buckets of event time (`docs/features.md`).

A window of length W with buckets of length b at moment t holds the events whose bucket is one of the W/b
newest up to and including t's own. What happened is kept once, in the finest buckets that some window still needs:
when it leaves the window of five minutes it is folded into the buckets of the hour, and so on; what no window
holds is gone. So each bucket length divides the next, and a coarser window sums the finer buckets too. Late events
go where they would be by now, so the order of arrival changes nothing. A silent user's buckets are empty.
"""

import itertools
from typing import Any, Final, NamedTuple, cast

from mypy_extensions import mypyc_attr

from forestay.core.event import EVENT_NAMES, NEVER, PURCHASE, REFUND, Event
from forestay.core.families.family import Family, Feature, Part, capped
from forestay.core.units import HOUR, MINUTE, SECOND

#: A bucket's keys are its number times 32 plus a field: an event kind's code, or one of these two.
FIELDS: Final[int] = 32
SPEND: Final[int] = 30
REFUND_VALUE: Final[int] = 31
_KINDS: Final[int] = len(EVENT_NAMES)
_MINOR: Final[float] = 100.0
#: No event is so far in the future (milliseconds).
_NO_END: Final[int] = 2**60

#: Features a window: a count of each kind, spend and value given back.
_EACH: Final[int] = _KINDS + 2
#: Shared by all levels that keep no sums: such a list is replaced, never changed.
_NO_SUMS: Final[list[int]] = []
#: Sums of a level with fewer amounts than this are not kept: they are soon made.
_FEW: Final[int] = 12


class Window(NamedTuple):
    """A window's name as it appears in feature names, its bucket in milliseconds, and how many it spans."""

    name: str
    bucket: int
    buckets: int


#: No bucket is coarser than a twelfth of its window (design, 'Features').
WINDOWS: Final[tuple[Window, ...]] = (
    Window("5m", 25 * SECOND, 12),
    Window("1h", 5 * MINUTE, 12),
    Window("1d", HOUR, 24),
    Window("7d", 12 * HOUR, 14),
    Window("30d", 12 * HOUR, 60),
)


def nested(windows: tuple[Window, ...]) -> bool:
    """Says whether the windows stand from short to long: each holds all that the one before it holds.

    At any moment it reaches further back, and its buckets are as long or a multiple.
    """
    return all(
        longer.bucket % shorter.bucket == 0
        and longer.bucket * (longer.buckets - 1) >= shorter.bucket * shorter.buckets
        for shorter, longer in itertools.pairwise(windows)
    )


class Scale:
    """A bucket length in milliseconds, how many buckets its longest window spans, and which is its first window.

    `slack` is how long what has left that window may stay: each time all buckets of a level are gone through.
    """

    __slots__ = ("buckets", "length", "shortest", "slack", "span")

    def __init__(self, length: int, windows: tuple[Window, ...]) -> None:
        """Takes all windows; `length` is the bucket of some."""
        self.length = length
        self.buckets = max(window.buckets for window in windows if window.bucket == length)
        self.span = length * self.buckets
        self.slack = self.span // 4
        self.shortest = [window.bucket for window in windows].index(length)

    def needed_from(self, number: int) -> int:
        """Returns the first bucket that the longest window holds when the newest one is `number`."""
        return number - self.buckets + 1


class Windows(Family):
    """The family: for every window a count of each event kind, spend and value given back."""

    __slots__ = ("scales", "windows")

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        """Takes windows that `nested` accepts."""
        super().__init__(1, "windows", _features(windows))
        self.windows = windows
        #: Finest first.
        self.scales = [Scale(length, windows) for length in sorted({window.bucket for window in windows})]

    def new(self) -> Part:
        """Returns empty buckets."""
        return WindowsPart(self)

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Reads [bucket length, first key, amount, step to the next key, amount, ...] a level."""
        part = WindowsPart(self)
        for flat in plain:
            for index in range(len(self.scales)):
                if self.scales[index].length == flat[0]:
                    part.levels[index].read(flat, self.scales[index])
        part.fold(latest)
        return part


@mypyc_attr(acyclic=True)
class Level:
    """A user's buckets of one scale: key -> amount; `leaves` is when the oldest leaves the longest window."""

    __slots__ = ("amounts", "leaves", "sums", "sums_at")

    def __init__(self) -> None:
        """Starts empty."""
        self.amounts: dict[int, int] = {}
        self.leaves = _NO_END
        #: What windows whose newest bucket is `sums_at` hold, as pairs of place and amount (`WindowsPart.sums`).
        self.sums = _NO_SUMS
        self.sums_at = NEVER

    def read(self, flat: list[int], scale: Scale) -> None:
        """Takes what `written` wrote."""
        key = 0
        for at in range(1, len(flat), 2):
            key += flat[at]
            self.amounts[key] = flat[at + 1]
        self.leaves = flat[1] // FIELDS * scale.length + scale.span

    def add(self, key: int, amount: int, scale: Scale) -> None:
        """Adds to one amount; one that comes to nothing is not kept."""
        amounts = self.amounts
        total = capped(amounts.get(key, 0) + amount)
        if total:
            amounts[key] = total
        else:
            del amounts[key]
        self.sums_at = NEVER
        leaves = key // FIELDS * scale.length + scale.span
        self.leaves = min(self.leaves, leaves)

    def keep_from(self, first: int, scale: Scale) -> list[tuple[int, int]]:
        """Takes out, and returns, the amounts with keys below `first`."""
        gone: list[tuple[int, int]] = []
        oldest = _NO_END
        for key, amount in self.amounts.items():
            if key < first:
                gone.append((key, amount))
            elif key < oldest:
                oldest = key
        if len(gone) == len(self.amounts):
            self.amounts = {}
        else:
            for key, _ in gone:
                del self.amounts[key]
        self.leaves = _NO_END if oldest == _NO_END else oldest // FIELDS * scale.length + scale.span
        self.sums_at = NEVER
        return gone

    def written(self, length: int, first: int) -> list[int]:
        """Returns the amounts with keys from `first` on as a list that `read` takes, empty if there are none."""
        flat = [length]
        before = 0
        for key in sorted(self.amounts):
            if key >= first:
                flat.append(key - before)
                flat.append(self.amounts[key])
                before = key
        return flat if before else []


@mypyc_attr(acyclic=True)
class WindowsPart(Part):
    """A user's buckets, a level a scale: each amount stands in one of them."""

    __slots__ = ("family", "fold_at", "levels")

    def __init__(self, family: Windows) -> None:
        """Starts empty."""
        self.family = family
        self.levels = [Level() for _ in family.scales]
        #: When some level is to be folded: never later than its oldest bucket's leaving and the slack.
        self.fold_at = _NO_END

    def update(self, event: Event, latest: int) -> None:
        """Counts the event (an order at its earliest line), and its money at its own moment."""
        if latest >= self.fold_at:
            self._fold(latest, at_once=False)
        if event.moved_from != NEVER:
            self.fold(latest)
            self._add(event.moved_from, latest, event.kind, -1)
            self._add(event.ts, latest, event.kind, 1)
        elif event.counts:
            self._add(event.ts, latest, event.kind, 1)
        if event.value:
            if event.kind == PURCHASE:
                self._add(event.ts, latest, SPEND, event.value)
            elif event.kind == REFUND:
                self._add(event.ts, latest, REFUND_VALUE, event.value)

    def _add(self, ts: int, latest: int, field: int, amount: int) -> None:
        """Adds `amount` to `field` in the finest bucket of `ts` whose window reaches back to it from `latest`."""
        scales = self.family.scales
        for index in range(len(scales)):
            scale = scales[index]
            number = ts // scale.length
            if number >= scale.needed_from(latest // scale.length):
                level = self.levels[index]
                level.add(number * FIELDS + field, amount, scale)
                fold_at = level.leaves + scale.slack
                self.fold_at = min(self.fold_at, fold_at)
                return

    def fold(self, latest: int) -> None:
        """Moves what has left the windows of its level at `latest` into the next, and drops what has left all."""
        self._fold(latest, at_once=True)

    def _fold(self, latest: int, *, at_once: bool) -> None:
        scales = self.family.scales
        fold_at = _NO_END
        for index in range(len(scales)):
            level, scale = self.levels[index], scales[index]
            if latest >= level.leaves + (0 if at_once else scale.slack):
                gone = level.keep_from(scale.needed_from(latest // scale.length) * FIELDS, scale)
                if index + 1 < len(scales):
                    coarser, to = self.levels[index + 1], scales[index + 1]
                    times = to.length // scale.length
                    for key, amount in gone:
                        coarser.add(key // FIELDS // times * FIELDS + key % FIELDS, amount, to)
            fold_at = min(fold_at, level.leaves + scale.slack)
        self.fold_at = fold_at

    def merge(self, other: Part, latest: int) -> None:
        """Adds the other's amounts, as far as some window still holds them."""
        theirs = cast(WindowsPart, other)
        for index in range(len(self.levels)):
            for key, amount in theirs.levels[index].amounts.items():
                self.levels[index].add(key, amount, self.family.scales[index])
        self.fold(latest)

    def sums(self, now: int) -> list[int]:
        """Returns, window by window, `FIELDS` amounts at moment `now`, not before the user's newest.

        Each amount stands under the shortest window that holds it: a window's own are the sum up to there.
        """
        sums = [0] * (len(self.family.windows) * FIELDS)
        scales = self.family.scales
        for index in range(len(scales)):
            level, scale = self.levels[index], scales[index]
            if len(level.amounts) < _FEW:
                self._sum(level, scale, now, sums)
                continue
            number = now // scale.length
            if level.sums_at != number:
                # While the newest bucket is the same, no window of this scale or a coarser one loses anything.
                fresh = [0] * len(sums)
                self._sum(level, scale, now, fresh)
                level.sums = [part for at in range(len(fresh)) if fresh[at] for part in (at, fresh[at])]
                level.sums_at = number
            kept = level.sums
            for at in range(0, len(kept), 2):
                sums[kept[at]] += kept[at + 1]
        return sums

    def _sum(self, level: Level, scale: Scale, now: int, sums: list[int]) -> None:
        """Adds the level's amounts to `sums`."""
        if not level.amounts:
            return
        windows = self.family.windows
        count = len(windows)
        shortest = scale.shortest
        firsts = [(now // w.bucket - w.buckets + 1) * w.bucket // scale.length * FIELDS for w in windows]
        first = firsts[shortest]
        for key, amount in level.amounts.items():
            window = shortest
            if key < first:
                window += 1
                while window < count and key < firsts[window]:
                    window += 1
                if window == count:
                    continue
            sums[window * FIELDS + key % FIELDS] += amount

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends, window by window, a count of each kind, spend and value given back."""
        self.pick(now, latest, list(range(len(self.family.features))), into)

    def pick(self, now: int, latest: int, wanted: list[int], into: list[float]) -> None:
        """Appends what is `wanted`: a tenth of the features as a rule, where it is for a stream of them."""
        sums = self.sums(now)
        for place in wanted:
            window, field = place // _EACH, place % _EACH
            if field >= _KINDS:
                field += SPEND - _KINDS
            total = 0
            for at in range(field, (window + 1) * FIELDS, FIELDS):
                total += sums[at]
            into.append(total / _MINOR if field >= SPEND else float(total))

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Writes what windows at `now` or later can hold, in order, each key as its distance from the one before."""
        self.fold(latest)
        scales = self.family.scales
        longest = scales[len(scales) - 1]
        since = longest.needed_from(now // longest.length) * longest.length
        plain: list[Any] = []
        for index in range(len(scales)):
            if self.levels[index].amounts:
                length = scales[index].length
                flat = self.levels[index].written(length, since // length * FIELDS)
                if flat:
                    plain.append(flat)
        return plain


def _features(windows: tuple[Window, ...]) -> list[Feature]:
    features = []
    for window in windows:
        for name in EVENT_NAMES:
            what = {"purchase": "orders", "refund": "orders given back"}.get(name, f"{name} events")
            features.append(Feature(f"{name}_count_{window.name}", f"{what} in the last {window.name}", "count"))
        features.append(Feature(f"spend_{window.name}", f"value bought in the last {window.name}", "currency"))
        features.append(
            Feature(f"refund_value_{window.name}", f"value given back in the last {window.name}", "currency")
        )
    return features
