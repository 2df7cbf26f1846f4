"""Made-up users for a model to be asked about."""

import numpy as np

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT


def users() -> list[ModelInput]:
    """Returns 70 made-up users with a few steps and, among them, two with many."""
    generator = np.random.default_rng(4)
    made = []
    for number in range(70):
        count = {10: 40, 60: MAX_STEPS}.get(number, number % 5)
        tokens = np.zeros((MAX_STEPS, len(TOKEN_COLUMNS)), dtype=np.int32)
        numbers = np.zeros((MAX_STEPS, len(NUMBER_COLUMNS)), dtype=np.float32)
        tokens[MAX_STEPS - count :] = generator.integers(1, 9, (count, len(TOKEN_COLUMNS)))
        numbers[MAX_STEPS - count :] = generator.uniform(0, 3, (count, len(NUMBER_COLUMNS)))
        made.append(ModelInput(tokens, numbers, generator.uniform(0, 3_000, FEATURE_COUNT).astype(np.float32)))
    return made
