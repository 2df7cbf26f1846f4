"""The rolling features on one scale: signed logarithm, then mean 0 and deviation 1, then clipped."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

#: Standardised values are cut here: what lies further out was not seen in training.
CLIP: Final = 4.0
#: Below this deviation a feature tells the rows apart too little to be scaled; one that never varied is left out,
#: for a weight never trained must not speak when a shop sends an event kind the training data lacks.
_CONSTANT: Final = 1e-4


@dataclass(frozen=True)
class FeatureScaler:
    """Which K of the features vary in the training rows, and their means and deviations after the logarithm."""

    kept: NDArray[np.int64]
    means: NDArray[np.float32]
    deviations: NDArray[np.float32]

    @classmethod
    def fit(cls, features: NDArray[np.float32]) -> Self:
        """Measures `features` (N, FEATURE_COUNT)."""
        logs = signed_log(features).astype(np.float64)
        deviations = logs.std(axis=0)
        kept = np.flatnonzero(deviations > _CONSTANT)
        means = logs.mean(axis=0)[kept].astype(np.float32)
        return cls(kept, means, deviations[kept].astype(np.float32))

    def transform(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the scaled features, (N, K)."""
        scaled = (signed_log(features[:, self.kept]) - self.means) / self.deviations
        return np.asarray(np.clip(scaled, -CLIP, CLIP), dtype=np.float32)


def signed_log(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns sign(x) log(1 + |x|): money and counts span four decades."""
    return np.sign(values) * np.log1p(np.abs(values))
