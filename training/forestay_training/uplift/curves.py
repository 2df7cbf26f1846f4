"""Qini and AUUC, each by one pinned definition: several are in use under both names, and differ a hundredfold.

People are ordered by predicted effect, the highest first; those with the same prediction are one step. After the
first n people, of whom nt were treated and nc not, with yt and yc outcomes:

- Qini curve: yt - yc * nt / nc. Radcliffe, "Using control groups to target on predicted lift", 2007.
- uplift curve: (yt / nt - yc / nc) * n. Rzepakowski and Jaroszewicz, 2012; cumulative gain in Gutierrez and
  Gerardy, "Causal inference and uplift modelling", 2017.

(0 where a group is empty.) Both curves begin at (0, 0). The figure is the area between the curve and the straight
line to its end (random targeting), over the same area of a perfect order: 0 is random, 1 perfect, below 0 worse than
random. That is `qini_auc_score` (negative_effect=True) and `uplift_auc_score` of scikit-uplift 0.5.1. The area is by
trapezoids. Weights count each person so often, which is what a bootstrap needs.
"""

from typing import NamedTuple

import numpy as np

from forestay_training.uplift.campaign import Vector, Whole


class Curve(NamedTuple):
    """Points of a curve: people so far, and what was gained by them."""

    people: Vector
    gained: Vector

    @property
    def area(self) -> float:
        """The area under the curve."""
        return float(np.trapezoid(self.gained, self.people))

    @property
    def random(self) -> float:
        """The area under the straight line to its end."""
        return float(self.people[-1] * self.gained[-1] / 2)


class Ranked:
    """People in the order of their predicted effect."""

    def __init__(self, effect: Vector, treated: Vector, outcome: Vector) -> None:
        """All are (N,); `treated` and `outcome` are 0 or 1."""
        self.order: Whole = np.argsort(-effect, kind="stable").astype(np.int64)
        ordered = effect[self.order]
        #: Where each run of equal predictions begins.
        self._starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self._treated = treated[self.order]
        self._outcome = outcome[self.order]

    def qini(self, weights: Vector | None = None) -> Curve:
        """Returns the Qini curve; `weights` (N,) are of the people as they were given."""
        people, treated, came, came_untreated = self._sums(weights)
        return _from_zero(people, came - came_untreated * _ratio(treated, people - treated))

    def uplift(self, weights: Vector | None = None) -> Curve:
        """Returns the uplift curve; `weights` (N,) are of the people as they were given."""
        people, treated, came, came_untreated = self._sums(weights)
        return _from_zero(people, (_ratio(came, treated) - _ratio(came_untreated, people - treated)) * people)

    def _sums(self, weights: Vector | None) -> tuple[Vector, Vector, Vector, Vector]:
        ordered = np.ones_like(self._treated) if weights is None else weights[self.order]
        columns = np.stack(
            [
                ordered,
                ordered * self._treated,
                ordered * self._treated * self._outcome,
                ordered * (1 - self._treated) * self._outcome,
            ]
        )
        people, treated, came, came_untreated = np.cumsum(np.add.reduceat(columns, self._starts, axis=1), axis=1)
        return people, treated, came, came_untreated


class Scored:
    """Qini and AUUC of one prediction, on all people or on draws of them."""

    def __init__(self, effect: Vector, treated: Vector, outcome: Vector) -> None:
        """All are (N,); `treated` and `outcome` are 0 or 1."""
        self._ranked = Ranked(effect, treated, outcome)
        self._best_qini = Ranked(outcome * treated - outcome * (1 - treated), treated, outcome)
        agree = 2.0 * (outcome == treated)
        # The perfect uplift curve breaks ties by what is rarer: see perfect_uplift_curve of scikit-uplift.
        self._best_uplift = {
            True: Ranked(agree + outcome, treated, outcome),
            False: Ranked(agree + treated, treated, outcome),
        }
        self._untreated_came = (1 - treated) * outcome
        self._treated_not = treated * (1 - outcome)

    def qini(self, weights: Vector | None = None) -> float:
        """Returns the Qini coefficient, nan where a perfect order gains nothing."""
        return _normalised(self._ranked.qini(weights), self._best_qini.qini(weights))

    def auuc(self, weights: Vector | None = None) -> float:
        """Returns the area under the uplift curve, nan where a perfect order gains nothing."""
        counted = np.ones_like(self._untreated_came) if weights is None else weights
        more_came = bool(counted @ self._untreated_came > counted @ self._treated_not)
        return _normalised(self._ranked.uplift(weights), self._best_uplift[more_came].uplift(weights))


def _normalised(curve: Curve, perfect: Curve) -> float:
    room = perfect.area - perfect.random
    return (curve.area - curve.random) / room if room else float("nan")


def _from_zero(people: Vector, gained: Vector) -> Curve:
    return Curve(np.append(0.0, people), np.append(0.0, gained))


def _ratio(above: Vector, below: Vector) -> Vector:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
