"""Padding cut off before the model reads it: most users have a handful of steps, and padding costs what steps cost.

The model's answer for a user depends neither on how much padding stands on the left of the steps nor on who else is
in the batch. So a batch may be cut to what its longest user needs, and taken apart by length.

Lengths are rounded up to one of `BUCKETS`: a server joins requests of equal shape alone, and plans memory (on a GPU,
kernels) once for each shape.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import TOKEN_COLUMNS, ModelInput
from forestay.core.families.sequence import MAX_STEPS

#: Steps a user that a request may have, rising; the last is all there are.
BUCKETS: Final = (8, 16, 32, MAX_STEPS)
#: How many steps of padding (rows by steps) one request less is worth: docs/serving.md has the measurement.
REQUEST_STEPS: Final = 400
_KIND: Final = TOKEN_COLUMNS.index("kind")

Told = TypeVar("Told")


class Bucket(NamedTuple):
    """Some users of a batch: their rows in it, (b,), rising, and their input, trimmed."""

    rows: NDArray[np.intp]
    inputs: ModelInput


def lengths(batch: ModelInput) -> NDArray[np.intp]:
    """Returns how many steps each user of a batch has, (B,)."""
    real = batch.step_tokens[:, :, _KIND] != 0
    first = np.where(real.any(axis=1), real.argmax(axis=1), real.shape[1])
    return np.asarray(real.shape[1] - first, dtype=np.intp)


def trimmed(batch: ModelInput) -> ModelInput:
    """Returns the batch with as many steps as the bucket of its longest user has: views, nothing is copied."""
    return _cut(batch, int(_buckets(lengths(batch)).max(initial=0)))


def by_length(batch: ModelInput) -> list[Bucket]:
    """Returns the batch as one bucket or several, each trimmed, so that little padding is sent in few requests.

    Every row is in one bucket. `together` restores the order.
    """
    needed = _buckets(lengths(batch))
    parts: list[Bucket] = []
    waiting = np.zeros(len(needed), dtype=np.bool_)
    for steps in BUCKETS:
        waiting |= needed == steps
        longer = needed[needed > steps]
        # Who is short waits for the next bucket, unless too much padding would come of it.
        if waiting.any() and (not longer.size or waiting.sum() * (longer.min() - steps) > REQUEST_STEPS):
            rows = np.flatnonzero(waiting)
            chosen = ModelInput(batch.step_tokens[rows], batch.step_numbers[rows], batch.features[rows])
            parts.append(Bucket(rows, _cut(chosen, steps)))
            waiting[:] = False
    return parts


def together(parts: Sequence[Bucket], answers: Sequence[Iterable[Told]]) -> list[Told]:
    """Returns the answers in the batch's order: `answers` has those of each of the `parts`, one a row."""
    found: dict[int, Told] = {}
    for part, told in zip(parts, answers, strict=True):
        found.update(zip(part.rows.tolist(), told, strict=True))
    return [found[row] for row in range(len(found))]


def _buckets(users: NDArray[np.intp]) -> NDArray[np.intp]:
    """Returns the smallest bucket that holds each user."""
    return np.asarray(BUCKETS, dtype=np.intp)[np.searchsorted(BUCKETS, users)]


def _cut(batch: ModelInput, steps: int) -> ModelInput:
    start = batch.step_tokens.shape[1] - steps
    return ModelInput(batch.step_tokens[:, start:], batch.step_numbers[:, start:], batch.features)
