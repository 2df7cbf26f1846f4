"""What a feature family is: its features, and the part of a user's state that they are computed from.

A new family is one file with a `Part` and a `Family`, and one line in `core/feature_set.py`; its part is filled
from history by `forestay backfill`.
"""

from typing import Any, Final, NamedTuple

from mypy_extensions import mypyc_attr

from forestay.core.event import Event
from forestay.core.units import MAX_AMOUNT

#: The largest number that compiled code holds in a word: comparing with a larger one costs 30 ns.
_WORD: Final[int] = 2**62 - 1


def capped(amount: int) -> int:
    """Returns `amount`, at most `MAX_AMOUNT`."""
    return amount if amount <= _WORD else MAX_AMOUNT


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

    def update(self, event: Event, latest: int) -> None:
        """Takes an event that counts once; `latest` is the user's newest moment, this event included."""
        raise NotImplementedError

    def merge(self, other: "Part", latest: int) -> None:
        """Takes in the part of another id of the same user; `latest` is the newest moment of both."""
        raise NotImplementedError

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends the family's features at moment `now`, not before `latest`, in their order."""
        raise NotImplementedError

    def pick(self, now: int, latest: int, wanted: list[int], into: list[float]) -> None:
        """Appends those of the `values` that stand at the places `wanted`."""
        values: list[float] = []
        self.values(now, latest, values)
        for place in wanted:
            into.append(values[place])

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Returns lists, numbers and bytes to be written.

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

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Returns the part that `Part.to_plain` wrote."""
        raise NotImplementedError
