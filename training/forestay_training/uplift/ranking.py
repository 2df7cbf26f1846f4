"""What each treatment does on average, and how well its predicted effects rank people."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from forestay_training.uplift.campaign import Campaign, Matrix, Vector
from forestay_training.uplift.curves import Ranked, Scored
from forestay_training.uplift.intervals import measured, rounded

#: Points of a curve that are told: a plot needs no more.
_POINTS: Final = 101


def rank(
    test: Campaign, effects: Matrix, weights: list[Vector], done: Callable[[int], None] = lambda _arms: None
) -> dict[str, Any]:
    """Returns each treatment's figures against the control; `effects` (N, K) are predicted, `weights` the draws."""
    answer = {}
    for arm in range(1, len(test.arms)):
        mask = (test.arm == 0) | (test.arm == arm)
        treated = (test.arm[mask] == arm).astype(np.float64)
        outcome, effect = test.outcome[mask], effects[mask, arm - 1]
        scored, ranked = Scored(effect, treated, outcome), Ranked(effect, treated, outcome)
        drawn = [one[mask] for one in weights]
        answer[test.arms[arm]] = {
            "people": int(treated.sum()),
            "outcome": rounded(float(outcome[treated == 1].mean())),
            "outcome_untreated": rounded(float(outcome[treated == 0].mean())),
            "effect": measured(partial(_lift, treated, outcome), drawn),
            "qini": measured(scored.qini, drawn),
            "auuc": measured(scored.auuc, drawn),
            "curve": _points(ranked),
        }
        done(arm)
    return answer


def _lift(treated: Vector, outcome: Vector, weights: Vector | None) -> float:
    counted = np.ones_like(treated) if weights is None else weights
    ours, theirs = counted * treated, counted * (1 - treated)
    return float(ours @ outcome / ours.sum() - theirs @ outcome / theirs.sum())


def _points(ranked: Ranked) -> dict[str, list[float]]:
    """Returns the Qini curve: share of people, and outcomes gained per treated person."""
    curve = ranked.qini()
    picked = np.unique(np.linspace(0, len(curve.people) - 1, _POINTS).round().astype(np.int64))
    share = curve.people[picked] / curve.people[-1]
    return {
        "people": [rounded(one) for one in share.tolist()],
        "gained": [rounded(one) for one in curve.gained[picked].tolist()],
    }
