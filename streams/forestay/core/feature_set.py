"""The feature set: which families are on, in which windows, and the list of features that follows from it.

The same set makes the vectors served live, the training rows and the explanations. Its order is the model's
input, and `digest` changes with it.
"""

from typing import Final

import numpy as np
from librt.vecs import vec
from mypy_extensions import i64
from numpy.typing import NDArray

from forestay.core.errors import StateError
from forestay.core.families.cart import Cart
from forestay.core.families.distinct import Distinct
from forestay.core.families.family import Family, Feature, Part
from forestay.core.families.lifetime import Lifetime
from forestay.core.families.recency import Recency
from forestay.core.families.sequence import Sequence
from forestay.core.families.sessions import Sessions
from forestay.core.families.windows import WINDOWS, Window, Windows
from forestay.core.hashing import identifier
from forestay.core.packing import MAX_CODE, RecordReader

Vector = NDArray[np.float32]

#: All families there are, in the order of their features.
FAMILY_NAMES: Final[tuple[str, ...]] = (
    "windows",
    "distinct",
    "sessions",
    "cart",
    "recency",
    "lifetime",
    "sequence",
)


def _families(windows: tuple[Window, ...]) -> list[Family]:
    return [
        Windows(windows),
        Distinct(windows),
        Sessions(windows),
        Cart(),
        Recency(),
        Lifetime(),
        Sequence(),
    ]


class FeatureSet:
    """The families that are on; a shop switches off what it does not use."""

    def __init__(self, names: tuple[str, ...] = FAMILY_NAMES, windows: tuple[Window, ...] = WINDOWS) -> None:
        """`names` are some of `FAMILY_NAMES`, `windows` those of counts, distinct items and sessions."""
        self.windows = windows
        self.families = [family for family in _families(windows) if family.name in names]
        self.features: tuple[Feature, ...] = tuple(feature for family in self.families for feature in family.features)
        self.names: tuple[str, ...] = tuple(feature.name for feature in self.features)
        self.codes = vec[i64]([family.code for family in self.families])
        #: By a family's code, where it stands among the families that are on, -1 for nowhere.
        self._by_code = vec[i64]([-1] * (MAX_CODE + 1))
        for at in range(len(self.families)):
            self._by_code[self.families[at].code] = at
        self._index = {family.name: index for index, family in enumerate(self.families)}

    @property
    def complete(self) -> bool:
        """Says whether these are the features the model reads: all families, in the windows of the design."""
        return self.names == DEFAULT_FEATURES.names

    @property
    def digest(self) -> str:
        """Names the features: another list, meaning or default has another digest."""
        return identifier("features-2", *[f"{f.name}|{f.meaning}|{f.unit}|{f.default}" for f in self.features])

    def index(self, family: str) -> int:
        """Returns where the family's part stands among a user's parts, -1 if it is off."""
        return self._index.get(family, -1)

    def new_parts(self) -> list[Part]:
        """Returns the parts of a user without events."""
        return [family.new() for family in self.families]

    def read_parts(self, reader: RecordReader, latest: i64) -> list[Part]:
        """Returns the parts in the rest of a state record; a family the record does not know starts empty.

        Raises:
            StateError: the record holds something else.
        """
        parts: list[Part | None] = [None for _ in self.families]
        code = reader.code()
        while code:
            index = self._by_code[code]
            outer = reader.enter()
            if index >= 0:
                if parts[index] is not None:
                    raise StateError(f"a state record holds the family {code} twice")
                parts[index] = self.families[index].read(reader, latest)
                if reader.more():
                    raise StateError(f"a state record holds more than the family {code} can have")
            reader.leave(outer)
            code = reader.code()
        return [part or family.new() for part, family in zip(parts, self.families, strict=True)]

    def values(self, parts: list[Part], now: i64, latest: i64) -> list[float]:
        """Returns the features of a user whose newest moment is `latest`, at moment `now`, in order."""
        into: list[float] = []
        for part in parts:
            part.values(now, latest, into)
        return into

    def vector(self, parts: list[Part], now: i64, latest: i64) -> Vector:
        """Returns `values` as an array of shape (number of features,)."""
        return np.array(self.values(parts, now, latest), dtype=np.float32)


DEFAULT_FEATURES: Final[FeatureSet] = FeatureSet()
#: The model's features, and where each stands in a vector.
FEATURES: Final[tuple[Feature, ...]] = DEFAULT_FEATURES.features
FEATURE_NAMES: Final[tuple[str, ...]] = DEFAULT_FEATURES.names
FEATURE_COUNT: Final[int] = len(FEATURES)
FEATURE_DIGEST: Final[str] = DEFAULT_FEATURES.digest
