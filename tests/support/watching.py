"""Rows and counts for tests of the watch: made up, from a seed."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.event import EVENT_CODES
from forestay.core.feature_set import FEATURE_COUNT, FEATURE_NAMES
from forestay.core.watch.reference import Reference, reference_of
from forestay.core.watch.seen import FIELDS, Seen
from forestay.core.watch.tally import Row

KINDS: Final = 6
VIEW: Final = EVENT_CODES["view_item"]


def inputs(random: np.random.Generator, rows: int) -> ModelInput:
    """Returns inputs as uneven as real ones are: counts with many zeros, hours and sums with long tails."""
    tokens = np.zeros((rows, 1, len(TOKEN_COLUMNS)), np.int32)
    tokens[:, 0, 0] = 1 + random.integers(0, KINDS, rows)
    tokens[:, 0, 2] = random.zipf(1.6, rows) % 512
    numbers = random.exponential(1, (rows, 1, len(NUMBER_COLUMNS))).astype(np.float32)
    features = random.lognormal(0, 1.5, (rows, FEATURE_COUNT)).astype(np.float32)
    features[:, ::2] = np.floor(features[:, ::2])
    return ModelInput(tokens, numbers, features)


def shifted(given: ModelInput, name: str, factor: float) -> ModelInput:
    """Returns inputs of which one feature is `factor` times what it was."""
    features = given.features.copy()
    features[:, FEATURE_NAMES.index(name)] *= factor
    return given._replace(features=features)


def rows(given: ModelInput, probabilities: NDArray[Any], now: int, *, first_user: int = 0) -> list[Row]:
    """Returns inputs as rows of users of their own, all scored at `now`."""
    each = zip(given.step_tokens, given.step_numbers, given.features, probabilities, strict=True)
    return [
        Row(f"u{first_user + at}", now, now, ModelInput(tokens, numbers, features), float(probability), None)
        for at, (tokens, numbers, features, probability) in enumerate(each)
    ]


def served_reference(random: np.random.Generator, count: int = 5_000) -> Reference:
    """Returns the reference of rows as they were scored."""
    return Reference(reference_of(inputs(random, count), random.beta(2, 3, count), moments="scored"))


def seen(events: int, kind: int = VIEW, missing: dict[str, int] | None = None, **repeated: int) -> Seen:
    """Returns counts of events of one kind; by field, how many miss it, and in how many it repeats."""
    counts = Seen()
    counts.events[kind] = counts.turns[kind] = events
    for table, told in ((counts.missing, missing or {}), (counts.repeated, repeated)):
        for name, count in told.items():
            table[kind * len(FIELDS) + FIELDS.index(name)] = count
    return counts
