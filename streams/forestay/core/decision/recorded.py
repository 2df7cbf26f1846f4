"""The situation of a decision on record, as far as the record tells it: what a policy is asked again with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import numpy as np

from forestay.core.decision.answer import Embedding
from forestay.core.decision.model_input import ModelInput
from forestay.core.decision.situation import Situation
from forestay.core.feature_set import FEATURE_COUNT, FEATURE_NAMES
from forestay.core.units import to_milliseconds
from forestay_schemas.retention_action import Trigger
from forestay_schemas.types import TriggerKind

_PLACE: Final = {name: number for number, name in enumerate(FEATURE_NAMES)}


def recorded_embedding(version: str, numbers: tuple[float, ...]) -> Embedding | None:
    """Returns the embedding on a record that a model's `version` answered, None where there is none."""
    return Embedding(version, numbers) if numbers else None


def recorded_situation(  # noqa: PLR0917 - what a record tells
    decision_id: str,
    user_id: str,
    decided_at: datetime,
    trigger: TriggerKind,
    features: Mapping[str, float],
    embedding: Embedding | None = None,
) -> Situation:
    """Returns the situation with the rolling features on the record; one that is not there is nan.

    Steps, country and the moment it became known are not on a record: they are empty, None and `decided_at`.
    """
    vector = np.full(FEATURE_COUNT, np.nan, dtype=np.float32)
    for name, value in features.items():
        if name in _PLACE:
            vector[_PLACE[name]] = value
    now = to_milliseconds(decided_at)
    return Situation(
        decision_id=decision_id,
        user_id=user_id,
        now=now,
        clock=now,
        # Which record it was does not matter to any policy.
        trigger=Trigger(kind=trigger, event_id=None, topic="", partition=0, offset=0),
        country=None,
        input=ModelInput(np.zeros((0, 0), dtype=np.int32), np.zeros((0, 0), dtype=np.float32), vector),
        embedding=embedding,
    )
