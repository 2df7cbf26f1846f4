"""What came next: users at random moments of their past, as the model would have been asked then.

A user's newest row tells all their steps, so it also tells what the model would have been given at any earlier
moment, but for the features, and what the next step after that moment was. No label is needed.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.families.sequence import MAX_STEPS, SLOT
from forestay.core.units import HOUR
from forestay_training.training_set import TrainingSet

KIND: Final = TOKEN_COLUMNS.index("kind")
_AGE: Final = NUMBER_COLUMNS.index("log_hours_before_now")
_VALUE: Final = NUMBER_COLUMNS.index("log_value")
#: The start of a step that is none, in milliseconds: before all others.
_NONE: Final = -(2**62)
#: Share of the moments that are ends of steps.
_LIVE: Final = 0.5


class NextSteps(NamedTuple):
    """What followed B moments; each is (B,).

    `hours` until the next step began (inf: it had not by the end of what is known), its `kinds` (0: none) and
    `values` (log1p, 0: none), and for how many hours after the moment all is `known`.
    """

    hours: NDArray[np.float64]
    kinds: NDArray[np.int64]
    values: NDArray[np.float32]
    known: NDArray[np.float64]


@dataclass(frozen=True)
class Histories:
    """U users, each by the newest row there is of them.

    `starts` of their steps (U, 64) and `until` when these are known (U,) are in milliseconds.
    """

    inputs: ModelInput
    starts: NDArray[np.int64]
    until: NDArray[np.int64]
    #: The user of each of the training set's rows, as a number (N,).
    numbers: NDArray[np.int64]

    @classmethod
    def of(cls, rows: TrainingSet) -> Self:
        """Takes the newest row of every user."""
        users, numbers = np.unique(rows.users, return_inverse=True)
        newest = np.zeros(len(users), dtype=np.int64)
        in_time = np.argsort(rows.moments, kind="stable")
        # Of several with one user the last one stays.
        newest[numbers[in_time]] = in_time
        tokens, step_numbers, features = rows.inputs
        inputs = ModelInput(tokens[newest], step_numbers[newest], features[newest])
        until = rows.moments[newest]
        return cls(inputs, _starts(inputs, until), until, numbers.astype(np.int64))

    @property
    def usable(self) -> NDArray[np.int64]:
        """Returns the users who have a past: those with a step that had ended by the time they are known until."""
        return np.flatnonzero(self._first() <= self._last())

    def random_moments(self, users: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """Returns a moment of the past of each of the (usable) `users`, when they had a step at least, (B,).

        One half are asked about when a step has just ended, as live users are, the others at any time, as at cutoffs.
        Moments are ends of slots: what is in a step has happened by then.
        """
        first, last = self._first()[users], self._last()[users]
        anywhere = first + SLOT * generator.integers((last - first) // SLOT + 1)
        count = (self.starts[users] > _NONE).sum(axis=1)
        ended = self.starts[users, MAX_STEPS - 1 - generator.integers(count)] + SLOT
        live = generator.random(len(users)) < _LIVE
        return np.where(live, np.minimum(ended, last), anywhere)

    def _first(self) -> NDArray[np.int64]:
        """Returns the end of each user's first step, one after all times where there is none."""
        return np.where(self.starts > _NONE, self.starts, -_NONE).min(axis=1) + SLOT

    def _last(self) -> NDArray[np.int64]:
        return self.until // SLOT * SLOT

    def lengths(self, users: NDArray[np.int64], moments: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns how many steps users had at moments of their past, (B,)."""
        starts = self.starts[users]
        return np.asarray(((starts > _NONE) & (starts < moments[:, None])).sum(axis=1), dtype=np.int64)

    def asked(
        self, users: NDArray[np.int64], moments: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Returns step tokens (B, 64, 4) and step numbers (B, 64, 9) of users at moments of their past."""
        later = (self.starts[users] >= moments[:, None]).sum(axis=1)
        place = np.arange(MAX_STEPS)[None, :] - later[:, None]
        rows, columns = users[:, None], place.clip(min=0)
        starts = np.where(place >= 0, self.starts[rows, columns], _NONE)
        there = starts > _NONE
        tokens = np.where(there[:, :, None], self.inputs.step_tokens[rows, columns], 0).astype(np.int32)
        numbers = np.where(there[:, :, None], self.inputs.step_numbers[rows, columns], 0).astype(np.float32)
        numbers[:, :, _AGE] = np.log1p(np.where(there, moments[:, None] - starts, 0) / HOUR)
        return tokens, numbers

    def following(self, users: NDArray[np.int64], moments: NDArray[np.int64]) -> NextSteps:
        """Returns what followed."""
        starts = self.starts[users]
        later = (starts >= moments[:, None]).sum(axis=1)
        some = later > 0
        following = np.where(some, MAX_STEPS - later, MAX_STEPS - 1)
        waited = (self.starts[users, following] - moments) / HOUR
        return NextSteps(
            hours=np.where(some, waited, np.inf),
            kinds=np.where(some, self.inputs.step_tokens[users, following, KIND], 0).astype(np.int64),
            values=np.where(some, self.inputs.step_numbers[users, following, _VALUE], 0).astype(np.float32),
            known=(self.until[users] - moments) / HOUR,
        )


def buckets(steps: NextSteps, edges: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns two masks (B, J) for edges in hours: buckets a user was seen in, and the one the next step came in.

    Only buckets that are known to their ends count, or steps that came early would be too many (`docs/dataset.md`).
    """
    hours, known = steps.hours[:, None], steps.known[:, None]
    begun = np.concatenate([[0.0], edges[:-1]])
    returned = (hours >= begun) & (hours < edges) & (edges <= known)
    seen = returned | ((hours >= edges) & (edges <= known))
    return seen.astype(np.float32), returned.astype(np.float32)


def _starts(inputs: ModelInput, moments: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns when the steps began; their ages are rounded by 5 minutes in ten years, slots are half an hour."""
    ages = np.expm1(inputs.step_numbers[:, :, _AGE].astype(np.float64)) * HOUR
    starts = np.rint((moments[:, None] - ages) / SLOT).astype(np.int64) * SLOT
    return np.where(inputs.step_tokens[:, :, KIND] > 0, starts, _NONE)
