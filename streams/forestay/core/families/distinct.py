"""Distinct items and categories over rolling windows: of each its newest mention (`docs/features.md`)."""

from typing import Final, cast

from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.errors import StateError
from forestay.core.event import Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.families.windows import WINDOWS, Window
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import SECOND

MAX_ITEMS: Final = 128
MAX_CATEGORIES: Final = 64
#: A user's own items are told apart by 32 bits, four bytes each: of 128, two are alike once in 500,000 users.
_HASH: Final = 2**32 - 1
_HASH_BITS: Final = 32
#: A step of time is written in the two bytes next to the hash; from 18 hours (in seconds) on the rest follows.
_LONG: Final = 2**16 - 1


class Distinct(Family):
    """The family; windows' buckets must be whole seconds, and each window reach further back than the one before."""

    __slots__ = ("buckets", "horizon", "lengths")

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        """Takes the same windows as the counts."""
        super().__init__(2, "distinct", _features(windows))
        self.lengths = vec[i64]([window.bucket // SECOND for window in windows])
        self.buckets = vec[i64]([window.buckets for window in windows])
        #: Mentions older than this before the user's newest moment are in no window (seconds).
        self.horizon: i64 = max(window.bucket // SECOND * window.buckets for window in windows)

    def since(self, window: i64, now: i64) -> i64:
        """Returns the second from which on a window at moment `now` holds what was mentioned."""
        length = self.lengths[window]
        return (now // SECOND // length - self.buckets[window] + 1) * length

    def new(self) -> Part:
        """Returns a part without mentions."""
        return DistinctPart(self)

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Reads what `DistinctPart.write` wrote."""
        part = DistinctPart(self)
        if reader.more():
            part.items.read(reader, latest // SECOND)
            part.categories.read(reader, latest // SECOND)
        return part


@mypyc_attr(acyclic=True)
class Mentions:
    """Hashes, each with the second of its newest mention: the newest `most`, in order of second and then hash."""

    __slots__ = ("hashes", "most", "seconds")

    def __init__(self, most: i64) -> None:
        """Starts empty."""
        self.most = most
        self.hashes = vec[i64]()
        self.seconds = vec[i64]()

    def note(self, what: i64, second: i64) -> None:
        """Notes a mention. What is dropped has `most` newer ones: only a mention anew could bring it back."""
        hashes = self.hashes
        at: i64 = len(hashes) - 1
        while at >= 0 and hashes[at] != what:
            at -= 1
        if at >= 0:
            if second > self.seconds[at]:
                self._put_behind(at, what, second)
        elif len(hashes) < self.most:
            self.hashes = append(hashes, what)
            self.seconds = append(self.seconds, second)
            self._put_before(what, second)
        elif self._is_before(0, what, second):
            self._put_behind(0, what, second)

    def _is_before(self, at: i64, what: i64, second: i64) -> bool:
        """Says whether the one at a place comes before another."""
        other = self.seconds[at]
        return other < second or (other == second and self.hashes[at] < what)

    def _put_behind(self, gone: i64, what: i64, second: i64) -> None:
        """Puts a mention where it belongs, behind the place of one that goes: at the end as a rule."""
        to: i64 = len(self.hashes) - 1
        while to > gone and not self._is_before(to, what, second):
            to -= 1
        hashes, seconds = self.hashes, self.seconds
        for at in range(gone, to):
            hashes[at] = hashes[at + 1]
            seconds[at] = seconds[at + 1]
        hashes[to] = what
        seconds[to] = second

    def _put_before(self, what: i64, second: i64) -> None:
        """Puts a mention where it belongs, at or before the last place."""
        hashes, seconds = self.hashes, self.seconds
        at: i64 = len(hashes) - 1
        while at > 0 and not self._is_before(at - 1, what, second):
            hashes[at] = hashes[at - 1]
            seconds[at] = seconds[at - 1]
            at -= 1
        hashes[at] = what
        seconds[at] = second

    def merge(self, other: "Mentions") -> None:
        """Of each hash the newer mention stays."""
        hashes, seconds = other.hashes, other.seconds
        for at in range(len(hashes)):
            self.note(hashes[at], seconds[at])

    def first(self, second: i64, before: i64) -> i64:
        """Returns the first place, not behind `before`, from which on all are of that second or later."""
        seconds = self.seconds
        while before > 0 and seconds[before - 1] >= second:
            before -= 1
        return before

    def after(self, second: i64) -> list[int]:
        """Returns the hashes of what was mentioned in that second or later, the newest last."""
        hashes = self.hashes
        return [hashes[at] for at in range(self.first(second, len(hashes)), len(hashes))]

    def write(self, writer: RecordWriter, newest: i64, first: i64) -> None:
        """Writes how many there are from place `first` on, and each by its hash and a step.

        The first one's step is its time before the second `newest`, the others' that from the one before.
        """
        hashes, seconds = self.hashes, self.seconds
        count: i64 = len(hashes)
        writer.number(count - first)
        at = first
        while at < count:
            step = newest - seconds[at] if at == first else seconds[at] - seconds[at - 1]
            writer.hash(min(step, _LONG) << _HASH_BITS | hashes[at])
            if step >= _LONG:
                writer.number(step - _LONG)
            at += 1

    def read(self, reader: RecordReader, newest: i64) -> None:
        """Takes what `write` wrote, into what is empty."""
        count = reader.count(self.most)
        hashes, seconds = vec[i64](capacity=count), vec[i64](capacity=count)
        second = newest
        for at in range(count):
            short = reader.hash()
            step = short >> _HASH_BITS
            if step == _LONG:
                step += reader.count(newest)
            second += step if at else -step
            if not 0 <= second <= newest:
                raise StateError("a state record holds a mention that is not between the first event and the newest")
            hashes = append(hashes, short & _HASH)
            seconds = append(seconds, second)
        self.hashes, self.seconds = hashes, seconds


@mypyc_attr(acyclic=True)
class DistinctPart(Part):
    """The newest mentions of items and of categories."""

    __slots__ = ("categories", "family", "items")

    def __init__(self, family: Distinct) -> None:
        """Starts empty."""
        self.family = family
        self.items = Mentions(MAX_ITEMS)
        self.categories = Mentions(MAX_CATEGORIES)

    def update(self, event: Event, latest: i64) -> None:
        """Notes the event's items and categories."""
        second = event.ts // SECOND
        for line in event.items:
            if line.item:
                self.items.note(line.item & _HASH, second)
            if line.category:
                self.categories.note(line.category & _HASH, second)

    def merge(self, other: Part, latest: i64) -> None:
        """Of each item the newer mention stays."""
        theirs = cast(DistinctPart, other)
        self.items.merge(theirs.items)
        self.categories.merge(theirs.categories)

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends distinct items, then distinct categories, window by window."""
        family = self.family
        items: i64 = len(self.items.hashes)
        categories: i64 = len(self.categories.hashes)
        item, category = items, categories
        for window in range(len(family.lengths)):
            since = family.since(window, now)
            item = self.items.first(since, item)
            category = self.categories.first(since, category)
            into.append(float(items - item))
            into.append(float(categories - category))

    def pick(self, now: i64, latest: i64, wanted: vec[i64], into: vec[float], at: i64) -> i64:
        """Puts those of the `values` that are wanted."""
        for place in wanted:
            mentions = self.categories if place % 2 else self.items
            count: i64 = len(mentions.hashes)
            into[at] = float(count - mentions.first(self.family.since(place // 2, now), count))
            at += 1
        return at

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes the items that are in any window, then such categories."""
        after = now // SECOND - self.family.horizon + 1
        item = self.items.first(after, len(self.items.hashes))
        category = self.categories.first(after, len(self.categories.hashes))
        if item < len(self.items.hashes) or category < len(self.categories.hashes):
            self.items.write(writer, latest // SECOND, item)
            self.categories.write(writer, latest // SECOND, category)


def _features(windows: tuple[Window, ...]) -> list[Feature]:
    features = []
    for window in windows:
        what = f"named in the last {window.name}, of the last"
        features.append(
            Feature(f"distinct_items_{window.name}", f"different items {what} {MAX_ITEMS}", "count"),
        )
        features.append(
            Feature(f"distinct_categories_{window.name}", f"different categories {what} {MAX_CATEGORIES}", "count"),
        )
    return features
