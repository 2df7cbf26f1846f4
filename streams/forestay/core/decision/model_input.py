"""What the churn model is given: the user's last steps as tokens, and the feature vector.

Shapes for a batch of B users: `step_tokens` (B, 64, 4) int32, `step_numbers` (B, 64, 9) float32, `features`
(B, FEATURE_COUNT) float32. Steps are left-padded, newest last; a padded row is all zeros (token kind 0).
"""

from collections.abc import Sequence
from math import cos, log1p, sin, tau
from typing import Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from forestay.core.families.sequence import CATEGORY_TOKENS, ITEM_TOKENS, MAX_STEPS, SLOT, SequencePart, Step
from forestay.core.feature_set import FEATURE_DIGEST, FeatureSet
from forestay.core.hashing import identifier
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, HOUR

#: Vocabulary sizes of the two other token columns; 0 is padding or 'none'.
KIND_TOKENS: Final = 32
HOUR_TOKENS: Final = 25
TOKEN_COLUMNS: Final = ("kind", "item", "category", "hour")
NUMBER_COLUMNS: Final = (
    "log_value",
    "log_quantity",
    "log_count",
    "log_hours_since_previous",
    "log_hours_before_now",
    "weekday_sine",
    "weekday_cosine",
    "day_of_year_sine",
    "day_of_year_cosine",
)
#: Names the whole input; the exported model carries it and the worker refuses a model with another.
INPUT_DIGEST: Final = identifier(
    "input-2", FEATURE_DIGEST, *TOKEN_COLUMNS, *NUMBER_COLUMNS, f"{MAX_STEPS},{ITEM_TOKENS},{CATEGORY_TOKENS}"
)
_YEAR: Final = 365.25


class ModelInput(NamedTuple):
    """One user's input (shapes without B) or a batch's (with B first)."""

    step_tokens: NDArray[np.int32]
    step_numbers: NDArray[np.float32]
    features: NDArray[np.float32]


def model_input(state: UserState, features: FeatureSet, now: int) -> ModelInput:
    """Returns the user's input at moment `now` (milliseconds): the truth of serving and of training."""
    steps = cast(SequencePart, state.parts[features.index("sequence")]).steps()
    tokens = np.zeros((MAX_STEPS, len(TOKEN_COLUMNS)), dtype=np.int32)
    numbers = np.zeros((MAX_STEPS, len(NUMBER_COLUMNS)), dtype=np.float32)
    if steps:
        start = MAX_STEPS - len(steps)
        tokens[start:] = [_tokens(step) for step in steps]
        numbers[start:] = _numbers(steps, now)
    return ModelInput(tokens, numbers, features.vector(state.parts, now, state.last_ts))


def stack(inputs: Sequence[ModelInput]) -> ModelInput:
    """Returns one batch of the given users' inputs."""
    return ModelInput(*(np.stack(arrays) for arrays in zip(*inputs, strict=True)))


def _tokens(step: Step) -> tuple[int, int, int, int]:
    return step.kind + 1, step.item, step.category, 1 + step.slot * SLOT // HOUR % 24


def _numbers(steps: list[Step], now: int) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = []
    previous = steps[0].slot * SLOT
    for step in steps:
        start = step.slot * SLOT
        day = start / DAY
        rows.append(
            (
                log1p(step.value / 100),
                log1p(step.quantity),
                log1p(step.events),
                log1p((start - previous) / HOUR),
                log1p(max(now - start, 0) / HOUR),
                # 1970-01-01 was a Thursday: day 4 of a week that begins on Sunday.
                sin(tau * (day + 4) / 7),
                cos(tau * (day + 4) / 7),
                sin(tau * day / _YEAR),
                cos(tau * day / _YEAR),
            )
        )
        previous = start
    return rows
