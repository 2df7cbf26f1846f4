"""Distinct items and categories over rolling windows: of each its newest mention (`docs/features.md`)."""

from array import array
from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from forestay.core.event import Event
from forestay.core.families.family import Family, Feature, Part
from forestay.core.families.windows import WINDOWS, Window
from forestay.core.units import SECOND

MAX_ITEMS: Final[int] = 128
MAX_CATEGORIES: Final[int] = 64
#: A user's own items are told apart by 32 bits, four bytes each: of 128, two are alike once in 500,000 users.
_HASHES: Final[int] = 2**32


class Distinct(Family):
    """The family; windows' buckets must be whole seconds."""

    __slots__ = ("buckets", "horizon", "lengths")

    def __init__(self, windows: tuple[Window, ...] = WINDOWS) -> None:
        """Takes the same windows as the counts."""
        super().__init__(2, "distinct", _features(windows))
        self.lengths = [window.bucket // SECOND for window in windows]
        self.buckets = [window.buckets for window in windows]
        #: Mentions older than this before the user's newest moment are in no window (seconds).
        self.horizon = max(window.bucket // SECOND * window.buckets for window in windows)

    def new(self) -> Part:
        """Returns a part without mentions."""
        return DistinctPart(self)

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Reads what `to_plain` wrote."""
        part = DistinctPart(self)
        part.items = _read_mentions(plain[0], plain[1])
        part.categories = _read_mentions(plain[2], plain[3])
        return part


@mypyc_attr(acyclic=True)
class DistinctPart(Part):
    """Hash of an item (or category) -> second of its newest mention."""

    __slots__ = ("categories", "family", "items")

    def __init__(self, family: Distinct) -> None:
        """Starts empty."""
        self.family = family
        self.items: dict[int, int] = {}
        self.categories: dict[int, int] = {}

    def update(self, event: Event, latest: int) -> None:
        """Notes the event's items and categories."""
        second = event.ts // SECOND
        for line in event.items:
            if line.item:
                _mention(self.items, line.item % _HASHES, second, MAX_ITEMS)
            if line.category:
                _mention(self.categories, line.category % _HASHES, second, MAX_CATEGORIES)

    def merge(self, other: Part, latest: int) -> None:
        """Of each item the newer mention stays."""
        theirs = cast(DistinctPart, other)
        for item, second in theirs.items.items():
            _mention(self.items, item, second, MAX_ITEMS)
        for category, second in theirs.categories.items():
            _mention(self.categories, category, second, MAX_CATEGORIES)

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends distinct items, then distinct categories, window by window."""
        self.items = _newest(self.items, MAX_ITEMS)
        self.categories = _newest(self.categories, MAX_CATEGORIES)
        second = now // SECOND
        for index in range(len(self.family.lengths)):
            length = self.family.lengths[index]
            newest = second // length
            first = (newest - self.family.buckets[index] + 1) * length
            after = newest * length + length
            into.append(float(_count(self.items, first, after)))
            into.append(float(_count(self.categories, first, after)))

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Writes of what is in any window the moments, each from the one before, and the hashes as bytes."""
        oldest = now // SECOND - self.family.horizon
        self.items = _newest(self.items, MAX_ITEMS)
        self.categories = _newest(self.categories, MAX_CATEGORIES)
        return [*_written(self.items, oldest), *_written(self.categories, oldest)]


def _mention(mentions: dict[int, int], what: int, second: int, most: int) -> None:
    known = mentions.get(what, -1)
    if second > known:
        # At the end, as one unknown until now: a restart, which leaves out what is in no window, changes no order.
        if known >= 0:
            del mentions[what]
        mentions[what] = second
        if known < 0 and len(mentions) > 4 * most:
            # What is dropped here has `most` newer ones, and would have to be mentioned anew to come back.
            kept = _newest(mentions, most)
            mentions.clear()
            mentions.update(kept)


def _newest(mentions: dict[int, int], most: int) -> dict[int, int]:
    if len(mentions) <= most:
        return mentions
    last = sorted([(second, what) for what, second in mentions.items()])[-most]
    # In the order they stood in: when a commit falls must not show in the bytes.
    return {what: second for what, second in mentions.items() if (second, what) >= last}


def _count(mentions: dict[int, int], first: int, after: int) -> int:
    count = 0
    for second in mentions.values():
        if first <= second < after:
            count += 1
    return count


def _written(mentions: dict[int, int], oldest: int) -> list[Any]:
    whats, seconds = list(mentions), list(mentions.values())
    steps: list[int] = []
    before = 0
    for second in seconds:
        if second <= oldest:
            return _written({what: second for what, second in mentions.items() if second > oldest}, oldest)
        steps.append(second - before)
        before = second
    return [steps, array("I", whats).tobytes()]


def _read_mentions(steps: list[int], hashes: bytes) -> dict[int, int]:
    whats = array("I")
    whats.frombytes(hashes)
    mentions: dict[int, int] = {}
    second = 0
    for index in range(len(steps)):
        second += steps[index]
        mentions[whats[index]] = second
    return mentions


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
