"""Counts and money over rolling windows, kept in buckets of event time (`docs/features.md`).

A window of length W with buckets of length b at moment t holds the events whose bucket is one of the W/b
newest up to and including t's own. What happened is kept once, in the finest buckets that some window still needs:
when it leaves the window of five minutes it is folded into the buckets of the hour, and so on; what no window
holds is gone. So each bucket length divides the next, and a coarser window sums the finer buckets too. Late events
go where they would be by now, so the order of arrival changes nothing. A silent user's buckets are empty.
"""

import itertools
from typing import Final, NamedTuple, cast

from librt.vecs import append, pop, vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, NEVER, PURCHASE, REFUND, Event
from forestay.core.families.family import Family, Feature, Part, capped
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import HOUR, MINUTE, SECOND

#: A bucket's keys are its number times 32 plus a field: an event kind's code, or one of these two.
FIELDS: Final = 32
SPEND: Final = 30
REFUND_VALUE: Final = 31
_KINDS: Final[int] = len(EVENT_NAMES)
_MINOR: Final = 100.0
#: No window spans more buckets; so no level of a record has more amounts.
MAX_BUCKETS: Final = 400
_MOST_AMOUNTS: Final = MAX_BUCKETS * FIELDS
#: Orders taken back whose counting was while the family was off leave less than nothing: at least so much.
_LEAST: Final = -(2**31)
#: No event is so far in the future (milliseconds).
_NO_END: Final = 2**60

#: Features a window: a count of each kind, spend and value given back.
_EACH: Final[i64] = _KINDS + 2


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
        self.length: i64 = length
        self.buckets: i64 = max(window.buckets for window in windows if window.bucket == length)
        self.span: i64 = self.length * self.buckets
        self.slack: i64 = self.span // 4
        self.shortest: i64 = [window.bucket for window in windows].index(length)

    def needed_from(self, number: i64) -> i64:
        """Returns the first bucket that the longest window holds when the newest one is `number`."""
        return number - self.buckets + 1


class Windows(Family):
    """The family: for every window a count of each event kind, spend and value given back."""

    __slots__ = ("buckets", "lengths", "scales")

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        """Takes windows that `nested` accepts."""
        super().__init__(1, "windows", _features(windows))
        #: Of each window, the length of its buckets (milliseconds) and their number.
        self.lengths = vec[i64]([window.bucket for window in windows])
        self.buckets = vec[i64]([window.buckets for window in windows])
        #: Finest first.
        self.scales = [Scale(length, windows) for length in sorted({window.bucket for window in windows})]

    def new(self) -> Part:
        """Returns empty buckets."""
        return WindowsPart(self)

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Reads levels; one whose buckets no window has any more is dropped."""
        part = WindowsPart(self)
        while reader.more():
            length = reader.number()
            if length <= 0:
                raise StateError(f"a state record holds buckets of {length} ms")
            part.level(length).read(reader, latest // length)
        part.fold(latest)
        return part


@mypyc_attr(acyclic=True)
class Level:
    """A user's buckets of one scale, as a row of keys, ascending, and amounts: key, amount, key, amount."""

    __slots__ = ("pairs", "scale")

    def __init__(self, scale: Scale) -> None:
        """Starts empty."""
        self.scale = scale
        self.pairs = vec[i64]()

    def add(self, key: i64, amount: i64) -> None:
        """Adds to one amount; one that comes to nothing is not kept. The usual key is among the last."""
        pairs = self.pairs
        at: i64 = len(pairs) - 2
        while at >= 0 and pairs[at] > key:
            at -= 2
        if at < 0 or pairs[at] != key:
            self._insert(at + 2, key, amount)
            return
        total = max(capped(pairs[at + 1] + amount), _LEAST)
        pairs[at + 1] = total
        if total == 0:
            self._delete(at)

    def _insert(self, place: i64, key: i64, amount: i64) -> None:
        pairs = append(append(self.pairs, key), amount)
        at: i64 = len(pairs) - 2
        while at > place:
            pairs[at] = pairs[at - 2]
            pairs[at + 1] = pairs[at - 1]
            at -= 2
        pairs[at] = key
        pairs[at + 1] = amount
        self.pairs = pairs

    def _delete(self, place: i64) -> None:
        pairs, _ = pop(self.pairs, place)
        self.pairs, _ = pop(pairs, place)

    def before(self, first: i64) -> i64:
        """Returns where the keys from `first` on begin in the row."""
        pairs = self.pairs
        size: i64 = len(pairs)
        at: i64 = 0
        while at < size and pairs[at] < first:
            at += 2
        return at

    def leaves(self) -> i64:
        """Returns when the oldest bucket leaves the scale's longest window."""
        pairs = self.pairs
        if len(pairs) == 0:
            return _NO_END
        return pairs[0] // FIELDS * self.scale.length + self.scale.span

    def drop(self, end: i64) -> None:
        """Drops the row up to `end`."""
        self.pairs = self.pairs[end:]

    def move(self, end: i64, coarser: "Level") -> None:
        """Adds what stands up to `end` to the buckets of a level that is coarser, or alike."""
        pairs = self.pairs
        times = coarser.scale.length // self.scale.length
        at: i64 = 0
        while at < end:
            coarser.add(pairs[at] // FIELDS // times * FIELDS + pairs[at] % FIELDS, pairs[at + 1])
            at += 2

    def sum(self, firsts: vec[i64], sums: vec[i64]) -> None:
        """Adds the amounts to `sums` (see `WindowsPart.sums`); `firsts` are the moments when the windows begin."""
        pairs, length = self.pairs, self.scale.length
        at: i64 = len(pairs) - 2
        if at < 0:
            return
        window = self.scale.shortest
        count: i64 = len(firsts)
        first = firsts[window] // length * FIELDS
        while at >= 0:
            key = pairs[at]
            while key < first:
                window += 1
                if window == count:
                    return
                first = firsts[window] // length * FIELDS
            place = window * FIELDS + key % FIELDS
            sums[place] = capped(sums[place] + pairs[at + 1])
            at -= 2

    def write(self, writer: RecordWriter, since: i64) -> None:
        """Writes the amounts of buckets from the moment `since` on, if there are any; keys as steps from the last."""
        pairs, length = self.pairs, self.scale.length
        size: i64 = len(pairs)
        at = self.before(since // length * FIELDS)
        if at == size:
            return
        writer.number(length)
        writer.number((size - at) >> 1)
        key: i64 = 0
        while at < size:
            writer.number(pairs[at] - key)
            writer.number(pairs[at + 1])
            key = pairs[at]
            at += 2

    def read(self, reader: RecordReader, newest: i64) -> None:
        """Takes what `write` wrote behind the length, into what is empty; no bucket is after `newest`."""
        if len(self.pairs):
            raise StateError(f"a state record holds buckets of {self.scale.length} ms twice")
        left = reader.count(_MOST_AMOUNTS)
        pairs = vec[i64](capacity=2 * left)
        end = (newest + 1) * FIELDS
        key: i64 = 0
        least: i64 = 0
        while left:
            step = reader.number()
            amount = reader.number()
            if not least <= step < end - key or amount < _LEAST:
                raise StateError("a state record holds a bucket that cannot be, or not in its place")
            key += step
            pairs = append(append(pairs, key), amount)
            least = 1
            left -= 1
        self.pairs = pairs


@mypyc_attr(acyclic=True)
class WindowsPart(Part):
    """A user's buckets, a level a scale: each amount stands in one of them."""

    __slots__ = ("family", "fold_at", "levels")

    def __init__(self, family: Windows) -> None:
        """Starts empty."""
        self.family = family
        self.levels = [Level(scale) for scale in family.scales]
        #: When some level is to be folded: never later than its oldest bucket's leaving and the slack.
        self.fold_at: i64 = _NO_END

    def update(self, event: Event, latest: i64) -> None:
        """Counts the event (an order at its earliest line), and its money at its own moment."""
        if latest >= self.fold_at:
            self._fold(latest, at_once=False)
        kind = event.kind
        if NEVER != event.moved_from <= latest:
            self.fold(latest)
            self._add(event.moved_from, latest, kind, -1)
            self._add(event.ts, latest, kind, 1)
        elif event.counts:
            self._add(event.ts, latest, kind, 1)
        if event.value:
            if kind == PURCHASE:
                self._add(event.ts, latest, SPEND, event.value)
            elif kind == REFUND:
                self._add(event.ts, latest, REFUND_VALUE, event.value)

    def _add(self, ts: i64, latest: i64, field: i64, amount: i64) -> None:
        """Adds `amount` to `field` in the finest bucket of `ts` whose window reaches back to it from `latest`."""
        for level in self.levels:
            scale = level.scale
            number = ts // scale.length
            if number >= scale.needed_from(latest // scale.length):
                level.add(number * FIELDS + field, amount)
                self.fold_at = min(self.fold_at, number * scale.length + scale.span + scale.slack)
                return

    def fold(self, latest: i64) -> None:
        """Moves what has left the windows of its level at `latest` into the next, and drops what has left all."""
        self._fold(latest, at_once=True)

    def _fold(self, latest: i64, *, at_once: bool) -> None:
        levels = self.levels
        fold_at: i64 = _NO_END
        index: i64 = 0
        while index < len(levels):
            level = levels[index]
            scale = level.scale
            index += 1
            leaves = level.leaves()
            if latest >= leaves and (at_once or latest >= leaves + scale.slack):
                end = level.before(scale.needed_from(latest // scale.length) * FIELDS)
                if index < len(levels):
                    level.move(end, levels[index])
                level.drop(end)
                leaves = level.leaves()
            fold_at = min(fold_at, leaves + scale.slack)
        self.fold_at = fold_at

    def level(self, length: i64) -> Level:
        """Returns the level with buckets of this length; one to be forgotten if there is none."""
        for level in self.levels:
            if level.scale.length == length:
                return level
        return Level(self.family.scales[0])

    def merge(self, other: Part, latest: i64) -> None:
        """Adds the other's amounts, as far as some window still holds them."""
        theirs = cast(WindowsPart, other)
        for index in range(len(self.levels)):
            level = theirs.levels[index]
            level.move(len(level.pairs), self.levels[index])
        self.fold(latest)

    def sums(self, now: i64) -> vec[i64]:
        """Returns, window by window, `FIELDS` amounts at moment `now`, not before the user's newest.

        Each amount stands under the shortest window that holds it: a window's own are the sum up to there.
        """
        lengths = self.family.lengths
        count: i64 = len(lengths)
        sums = vec[i64](capacity=count * FIELDS)
        at: i64 = 0
        while at < count * FIELDS:
            sums = append(sums, 0)
            at += 1
        firsts = vec[i64](capacity=count)
        at = 0
        while at < count:
            firsts = append(firsts, (now // lengths[at] - self.family.buckets[at] + 1) * lengths[at])
            at += 1
        for level in self.levels:
            level.sum(firsts, sums)
        return sums

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends, window by window, a count of each kind, spend and value given back."""
        sums = self.sums(now)
        place: i64 = 0
        while place < len(self.family.lengths) * _EACH:
            into.append(_value(sums, place))
            place += 1

    def pick(self, now: i64, latest: i64, wanted: vec[i64], into: vec[float], at: i64) -> i64:
        """Puts what is `wanted`: a tenth of the features as a rule, where it is for a stream of them."""
        sums = self.sums(now)
        index: i64 = 0
        while index < len(wanted):
            into[at] = _value(sums, wanted[index])
            at += 1
            index += 1
        return at

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes what windows at `now` or later can hold: a level's bucket length, count and amounts."""
        self.fold(latest)
        scales = self.family.scales
        longest = scales[len(scales) - 1]
        since = longest.needed_from(now // longest.length) * longest.length
        for level in self.levels:
            level.write(writer, since)


def _value(sums: vec[i64], place: i64) -> float:
    """Returns the feature at its place among the family's."""
    window, field = place // _EACH, place % _EACH
    if field >= _KINDS:
        field += SPEND - _KINDS
    total: i64 = 0
    at = field
    while at < (window + 1) * FIELDS:
        total = capped(total + sums[at])
        at += FIELDS
    if field >= SPEND:
        return float(total) / _MINOR
    return float(total)


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
