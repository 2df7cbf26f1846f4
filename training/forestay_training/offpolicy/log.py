"""Logged decisions as arrays, whatever they were read from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Log(NamedTuple):
    """N decisions among A actions, each with the reward that followed.

    `chosen`, `propensity`, `reward`, `user`: (N,). `propensity` is the probability with which `chosen` was chosen,
    above 0; `user` numbers the users from 0. `context` (N, D) is what the reward model may look at. `offered` (N, A):
    what stood to choice; `tried` (N, A): what the log could have chosen. `logging` (N, A) are the probabilities of
    all actions, None where the log tells only that of the chosen one.
    """

    actions: tuple[str, ...]
    chosen: Whole
    propensity: Vector
    reward: Vector
    user: Whole
    context: Matrix
    offered: Flags
    tried: Flags
    logging: Matrix | None

    @property
    def binary(self) -> bool:
        """Says whether every reward is 0 or 1."""
        return bool(np.isin(self.reward, (0.0, 1.0)).all())

    @property
    def users(self) -> int:
        """Returns how many users there are."""
        return int(self.user.max()) + 1

    def of_chosen(self, table: Matrix) -> Vector:
        """Returns of each row of `table` (N, A) the entry of the action that was chosen."""
        return np.asarray(np.take_along_axis(table, self.chosen[:, None], axis=1)[:, 0], dtype=np.float64)

    def weights(self, target: Matrix) -> Vector:
        """Returns the importance weights (N,) of a policy with probabilities `target` (N, A)."""
        return self.of_chosen(target) / self.propensity
