"""What all seeds show together, as one JSON object: means over worlds, with intervals between worlds."""

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from scipy.stats import t

from forestay_training.simulation.effects import Effects
from forestay_training.simulation.rhythm import Fitted
from forestay_training.simulation.study import PERIOD, POLICIES, Seen, Size

_LEVEL: Final = 0.95
#: How spending is to be spread: evenly over the afternoon.
PLAN: Final = tuple(max(0, hour - 11) / 12 for hour in range(24))


def told(fitted: Fitted, effects: Effects, size: Size, seen: Sequence[Seen]) -> dict[str, Any]:
    """Returns all of it, ready for JSON."""
    return {
        "synthetic": True,
        "rhythm": fitted.told(),
        "effects": effects.model_dump(mode="json"),
        "users": size.users,
        "days": size.days,
        "seeds": list(size.seeds),
        "orders": sum(one.orders for one in seen),
        "period_days": PERIOD,
        "policies": {name: _policy(name, seen) for name in POLICIES},
        "coverage": _coverage(seen),
        "pacing": _pacing(seen),
    }


def _policy(name: str, seen: Sequence[Seen]) -> dict[str, Any]:
    rows = np.array([one.periods[name] for one in seen])
    decisions, regret, gain, most = np.moveaxis(rows, 2, 0)
    total = decisions.sum(axis=1)
    some = total > 0
    whole: dict[str, Any] = {"decisions": int(decisions.sum())}
    for key, values in (("regret", regret), ("gain", gain), ("most", most)):
        whole[key] = interval((decisions * values).sum(axis=1)[some] / total[some])
    return {
        **whole,
        "periods": [
            {
                "decisions": int(decisions[:, step].sum()),
                # A world without a decision in a period has no regret there, which is not a regret of 0.
                "regret": interval(regret[decisions[:, step] > 0, step]),
                "gain": interval(gain[decisions[:, step] > 0, step]),
            }
            for step in range(decisions.shape[1])
        ],
    }


def _coverage(seen: Sequence[Seen]) -> dict[str, Any]:
    """Returns, by candidate and estimator, in how many worlds the interval held the truth, and the mean error."""
    names = dict.fromkeys(one.candidate for world in seen for one in world.covered)
    found: dict[str, Any] = {}
    for candidate in names:
        rows = [one for world in seen for one in world.covered if one.candidate == candidate]
        estimators = dict.fromkeys(name for one in rows for name in one.estimates)
        found[candidate] = {
            "truth": float(np.mean([one.truth for one in rows])),
            "estimators": {
                name: _held([(one.truth, *one.estimates[name]) for one in rows if name in one.estimates])
                for name in estimators
            },
        }
    return found


def _held(rows: Sequence[tuple[float, float, float, float]]) -> dict[str, Any]:
    held = sum(low <= truth <= high for truth, _value, low, high in rows)
    return {
        "logs": len(rows),
        "held": held,
        "share": held / len(rows),
        "interval": list(wilson(held, len(rows))),
        "error": interval([value - truth for truth, value, _low, _high in rows]),
        "width": float(np.mean([high - low for _truth, _value, low, high in rows])),
    }


def _pacing(seen: Sequence[Seen]) -> dict[str, Any]:
    paced = [one.paced for one in seen]
    days = np.array([one.days for one in paced], dtype=np.float64)
    weights = days / max(float(days.sum()), 1.0)
    curve = (weights[:, None] * np.array([one.curve for one in paced])).sum(axis=0)
    return {
        "days": int(days.sum()),
        "overspent": sum(one.overspent for one in paced),
        "used": float((weights * np.array([one.used for one in paced])).sum()),
        "curve": curve.tolist(),
        "plan": list(PLAN),
        "furthest": float(np.abs(curve - np.array(PLAN)).max()),
    }


def interval(values: Iterable[float]) -> dict[str, Any]:
    """Returns the mean and its 95 % interval by Student's t; none of fewer than two values, no mean of none."""
    some = np.array(list(values), dtype=np.float64)
    if not len(some):
        return {"value": None, "interval": None}
    value = float(some.mean())
    if len(some) < 2:  # noqa: PLR2004 - no deviation
        return {"value": value, "interval": None}
    half = float(t.ppf((1 + _LEVEL) / 2, len(some) - 1) * some.std(ddof=1) / sqrt(len(some)))
    return {"value": value, "interval": [value - half, value + half]}


def wilson(held: int, total: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share (Wilson, 1927)."""
    z = NormalDist().inv_cdf((1 + _LEVEL) / 2)
    share, spread = held / total, z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(middle - half, 0.0), min(middle + half, 1.0)
