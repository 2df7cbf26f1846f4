"""What a feature family is: its features, and the part of a user's state that they are computed from.

A new family is one file with a `Part` and a `Family`, and one line in `core/feature_set.py`; its part is filled
from history by `forestay backfill`.
"""

from typing import NamedTuple

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.event import Event
from forestay.core.packing import RecordReader, RecordWriter
from forestay.core.units import MAX_AMOUNT


def capped(amount: i64) -> i64:
    """Returns `amount`, at most `MAX_AMOUNT`. Two that are capped can be added: the sum fits a word."""
    return min(amount, MAX_AMOUNT)


class Feature(NamedTuple):
    """A feature's name, meaning, unit and value for a user without events."""

    name: str
    meaning: str
    unit: str
    default: float = 0.0


@mypyc_attr(acyclic=True)
class Part:
    """What one family remembers of one user. Its content depends on the set of events, not on their order."""

    __slots__ = ()

    def update(self, event: Event, latest: i64) -> None:
        """Takes an event that counts once; `latest` is the user's newest moment, this event included."""
        raise NotImplementedError

    def merge(self, other: "Part", latest: i64) -> None:
        """Takes in the part of another id of the same user; `latest` is the newest moment of both."""
        raise NotImplementedError

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends the family's features at moment `now`, not before `latest`, in their order."""
        raise NotImplementedError

    def pick(self, now: i64, latest: i64, wanted: vec[i64], into: vec[float], at: i64) -> i64:
        """Puts those of the `values` that stand at the places `wanted` into a row, from `at` on.

        Returns where to go on.
        """
        values: list[float] = []
        self.values(now, latest, values)
        for place in wanted:
            into[at] = values[place]
            at += 1
        return at

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes what is remembered, nothing if there is nothing.

        Moments are written as distances from `latest`; what features at `now` or later cannot need is left out.
        """
        raise NotImplementedError


class Family:
    """A family: `code` names it in state records and never changes."""

    __slots__ = ("code", "features", "name")

    def __init__(self, code: int, name: str, features: list[Feature]) -> None:
        """`name` is what settings call it."""
        self.code = code
        self.name = name
        self.features = features

    def new(self) -> Part:
        """Returns the part of a user without events."""
        raise NotImplementedError

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Returns the part that `Part.write` wrote; the reader ends where that ends.

        Raises:
            StateError: it wrote no such thing.
        """
        raise NotImplementedError
