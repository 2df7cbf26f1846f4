"""The curve of a user's silence: how likely it lasts, and what that says of any later moment without a new score.

A discrete hazard gives the share that has not returned by each of a few edges. Between two edges, and beyond the
last, the hazard is taken as constant, as in a piecewise exponential model (Friedman, Annals of Statistics 10, 1982).
"""

from math import exp, log
from typing import Final, NamedTuple

from forestay.core.errors import StateError

#: The unit of shares: what is logged and kept is what is used.
PARTS: Final = 10_000
#: Edges of a curve.
MAX_EDGES: Final = 32
#: Hours of the last edge: ten years.
MAX_HOURS: Final = 87_840


class Survival(NamedTuple):
    """Of 10,000 such users, how many have not returned `hours[j]` after the score: `shares[j]`, falling in j."""

    hours: tuple[int, ...]
    shares: tuple[int, ...]

    def check(self) -> None:
        """Says what is wrong with a curve from outside.

        Raises:
            StateError: it is no curve.
        """
        if not self.is_curve():
            raise StateError(f"no curve of survival: {self.hours} hours, {self.shares} of {PARTS}")

    def is_curve(self) -> bool:
        """Says whether edges rise and shares fall, as many of one as of the other, within the bounds."""
        hours, shares = self
        rising = all(early < late for early, late in zip((0, *hours), hours, strict=False))
        falling = all(early >= late for early, late in zip((PARTS, *shares), (*shares, 0), strict=True))
        return 0 < len(hours) == len(shares) <= MAX_EDGES and rising and falling and hours[-1] <= MAX_HOURS

    def lasting(self, silent: float, horizon: float) -> float:
        """Returns how likely a user who has been silent for `silent` hours stays so for `horizon` hours more."""
        return exp(self._log_share(silent + horizon) - self._log_share(silent))

    def knows(self, silent: float) -> bool:
        """Says whether anybody was that long silent: of whom all had returned, the curve tells nothing."""
        return PARTS * exp(self._log_share(silent)) >= 1

    def _log_share(self, hours: float) -> float:
        """Returns the logarithm of the share at any moment."""
        begun, level = 0, 0.0
        before = 0, 0.0
        for edge, share in zip(*self, strict=True):
            # Nobody at all is half a user: the logarithm stays finite.
            after = log(max(share, 0.5) / PARTS)
            if hours <= edge:
                return level + (after - level) * (hours - begun) / (edge - begun)
            before = begun, level
            begun, level = edge, after
        slope = (level - before[1]) / (begun - before[0])
        return level + slope * (hours - begun)
