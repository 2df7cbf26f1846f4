"""The rolling features: each with its exact meaning, unit and default, in one list.

The same list makes the vectors served live, the training rows and the explanations. Its order is the
model's input: append only, and `FEATURE_DIGEST` changes with it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.event import EVENT_NAMES, PURCHASE, REFUND
from forestay.core.hashing import identifier
from forestay.core.units import DAY, HOUR
from forestay.core.user_state import NEVER, UserState
from forestay.core.windows import REFUND_VALUE, SPEND, WINDOWS, totals

#: Stands for 'never happened' where a feature is a time since something: two years in hours.
NEVER_HOURS: Final = 17_520.0
_MINOR: Final = 100.0
#: Longer looks back than the rings hold, taken from the steps (at most the last 64).
LONG_DAYS: Final = (90, 180)


class Feature(NamedTuple):
    """A feature's name, meaning, unit and value for a user without events."""

    name: str
    meaning: str
    unit: str
    default: float = 0.0


def _window_features() -> list[Feature]:
    features = []
    for window in WINDOWS:
        for name in EVENT_NAMES:
            what = "orders" if name in ("purchase", "refund") else f"{name} events"
            features.append(Feature(f"{name}_count_{window.name}", f"{what} in the last {window.name}", "count"))
        features.append(
            Feature(f"spend_{window.name}", f"price times quantity bought, last {window.name}", "currency")
        )
        features.append(Feature(f"refund_value_{window.name}", f"value given back, last {window.name}", "currency"))
    return features


def _recency_features() -> list[Feature]:
    recencies = [
        Feature(f"hours_since_{name}", f"time since the last {name}", "hours", NEVER_HOURS) for name in EVENT_NAMES
    ]
    return [
        *recencies,
        Feature("hours_since_last_event", "time since the last event of any kind", "hours", NEVER_HOURS),
        Feature("tenure_hours", "time since the first event", "hours"),
    ]


_LIFETIME: Final = [
    Feature("orders_total", "orders ever", "count"),
    Feature("spend_total", "price times quantity ever bought", "currency"),
    Feature("refunds_total", "refunded orders ever", "count"),
    Feature("refund_value_total", "value ever given back", "currency"),
    Feature("events_total", "events ever applied", "count"),
    Feature("average_basket", "spend_total / orders_total", "currency"),
    Feature("visits_total", "visits ever; a visit ends after 30 minutes of silence", "count"),
    Feature("visit_gap_mean_hours", "mean gap between visits", "hours"),
    Feature("visit_gap_deviation_hours", "standard deviation of the gaps between visits", "hours"),
    Feature("silence_ratio", "hours_since_last_event / visit_gap_mean_hours, 0 below two visits", "ratio"),
]
_LONG: Final = [
    feature
    for days in LONG_DAYS
    for feature in (
        Feature(f"orders_{days}d", f"purchase steps among the last 64 steps, last {days} days", "count"),
        Feature(f"spend_{days}d", f"value of these steps, last {days} days", "currency"),
    )
]

FEATURES: Final[tuple[Feature, ...]] = (*_window_features(), *_recency_features(), *_LIFETIME, *_LONG)
FEATURE_NAMES: Final[tuple[str, ...]] = tuple(feature.name for feature in FEATURES)
FEATURE_COUNT: Final = len(FEATURES)
FEATURE_DIGEST: Final = identifier("features-1", *(f"{f.name}|{f.meaning}|{f.unit}|{f.default}" for f in FEATURES))

Vector = NDArray[np.float32]


def feature_vector(state: UserState, now: int) -> Vector:
    """Returns the features at moment `now` (milliseconds), shape (FEATURE_COUNT,), in the order of `FEATURES`."""
    values = [*_windows(state, now), *_recencies(state, now), *_lifetime(state, now), *_long(state, now)]
    return np.array(values, dtype=np.float32)


def _windows(state: UserState, now: int) -> list[float]:
    values: list[float] = []
    for window, ring in zip(WINDOWS, state.rings, strict=True):
        if not ring:
            values.extend(_EMPTY_WINDOW)
            continue
        get: Callable[[int, int], int] = totals(ring, window, now).get
        values.extend(get(code, 0) for code in range(len(EVENT_NAMES)))
        values.append(get(SPEND, 0) / _MINOR)
        values.append(get(REFUND_VALUE, 0) / _MINOR)
    return values


_EMPTY_WINDOW: Final = [0.0] * (len(EVENT_NAMES) + 2)


def hours_since(ts: int, now: int) -> float:
    """Returns hours from `ts` to `now`, `NEVER_HOURS` if it never was and at most that."""
    return NEVER_HOURS if ts == NEVER else min(max(now - ts, 0) / HOUR, NEVER_HOURS)


def _recencies(state: UserState, now: int) -> list[float]:
    values = [hours_since(ts, now) for ts in state.last_by_kind]
    values.append(hours_since(state.last_ts, now))
    values.append(0.0 if state.first_ts == NEVER else max(now - state.first_ts, 0) / HOUR)
    return values


def _lifetime(state: UserState, now: int) -> list[float]:
    get = state.totals.get
    orders, spend = get(PURCHASE, 0), get(SPEND, 0) / _MINOR
    gap = state.rhythm.mean_gap() / HOUR
    return [
        orders,
        spend,
        get(REFUND, 0),
        get(REFUND_VALUE, 0) / _MINOR,
        state.applied,
        spend / orders if orders else 0.0,
        state.rhythm.visits,
        gap,
        state.rhythm.gap_deviation() / HOUR,
        hours_since(state.last_ts, now) / gap if gap else 0.0,
    ]


def _long(state: UserState, now: int) -> list[float]:
    values: list[float] = []
    for days in LONG_DAYS:
        since = now - days * DAY
        bought = [step.value for step in state.steps if step.kind == PURCHASE and step.slot >= since]
        values.extend((len(bought), sum(bought) / _MINOR))
    return values
