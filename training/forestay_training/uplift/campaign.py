"""A randomised campaign as arrays."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Campaign(NamedTuple):
    """N people of a campaign with K treatments.

    `features` is (N, F), a category as its number and nan where nothing is known; `categorical` (F,) says which are
    categories. `arm` (N,) is 0 for the control and 1 to K for a treatment, `arms` their K + 1 names. `outcome` (N,)
    is 0 or 1, `value` (N,) the money it is worth. `key` (N,) tells people apart: it alone decides a split.
    """

    features: Matrix
    names: tuple[str, ...]
    categorical: Mask
    arm: Whole
    arms: tuple[str, ...]
    outcome: Vector
    value: Vector
    key: NDArray[np.str_]

    @property
    def size(self) -> int:
        """The number of people."""
        return len(self.arm)

    @property
    def counts(self) -> Whole:
        """People in each arm, the control first."""
        return np.bincount(self.arm, minlength=len(self.arms)).astype(np.int64)

    @property
    def shares(self) -> Vector:
        """Each arm's share of the people: the chance by which it was drawn, as the data tell it."""
        return self.counts / self.size

    def only(self, mask: Mask) -> Self:
        """Returns the people of `mask` (N,)."""
        return self._replace(
            features=self.features[mask],
            arm=self.arm[mask],
            outcome=self.outcome[mask],
            value=self.value[mask],
            key=self.key[mask],
        )

    def with_(self, other: Self) -> Self:
        """Returns the people of both."""
        return self._replace(
            features=np.concatenate([self.features, other.features]),
            arm=np.concatenate([self.arm, other.arm]),
            outcome=np.concatenate([self.outcome, other.outcome]),
            value=np.concatenate([self.value, other.value]),
            key=np.concatenate([self.key, other.key]),
        )
