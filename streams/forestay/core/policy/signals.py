"""What a linear head looks at: all of it on the decision record, so that any decision can be weighed again."""

from math import log1p
from typing import Final

import numpy as np

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.situation import POLICY_FEATURES, Situation
from forestay.core.policy.posterior import Vector
from forestay.core.policy.projection import Projection
from forestay_schemas.types import TriggerKind

#: The logarithm of a large shop's sums is some ten: divided by this, signals are about 1 at most.
_LOG_SCALE: Final = 10.0


def signals(
    situation: Situation, probability: float, catalogue: Catalogue, projection: Projection | None = None
) -> Vector:
    """Returns the signals (D,), in the order of `SIGNALS`, each without a unit; nan where a feature is not known.

    A `projection` of the model's embedding adds one for each of its axes.
    """
    settings = catalogue.policy
    stake = _small(situation.value_at_stake(settings.margin, settings.value_days))
    silence = situation.feature("hours_since_last_event")
    gap = situation.feature("session_gap_mean_hours")
    kind = situation.trigger.kind
    own = np.array(
        [
            1.0,
            probability,
            probability * probability,
            stake,
            probability * stake,
            *(_small(situation.feature(name)) for name in POLICY_FEATURES),
            _small(silence) - _small(gap),
            float(kind is TriggerKind.SILENCE),
            float(kind is TriggerKind.PATTERN),
        ]
    )
    return own if projection is None else np.concatenate([own, projection.of(situation.embedding)])


def _small(value: float) -> float:
    return log1p(max(value, 0.0)) / _LOG_SCALE if value == value else value  # noqa: PLR0124 - nan stays nan
