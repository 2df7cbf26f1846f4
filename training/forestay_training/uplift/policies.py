"""Whom to treat with what: by effect, all, none, the riskiest, or as many by chance."""

from typing import Final

import numpy as np

from forestay_training.uplift.campaign import Matrix, Vector, Whole

BY_EFFECT: Final = "by effect"
RISKIEST: Final = "riskiest"
RANDOM: Final = "random"
NONE: Final = "none"
#: Shares of people treated at which the curves of net value have a point.
SHARES: Final = tuple(step / 10 for step in range(11))


def all_of(arm: str) -> str:
    """Returns the name of the policy that treats everyone with `arm`."""
    return f"all: {arm}"


def chances(net: Matrix, risk: Vector, best: int, arms: tuple[str, ...]) -> dict[str, Matrix]:
    """Returns each policy's chance of each arm for each person (N, K + 1).

    `net` (N, K) is the predicted effect in money less the cost, `risk` (N,) that nothing comes of a person untreated,
    `best` the treatment (1 to K) that nets most on average in training. By effect takes each person's best treatment
    where it nets more than 0; riskiest and random give `best` to as many.
    """
    people, kinds = net.shape
    choice = np.where(net.max(axis=1) > 0, net.argmax(axis=1) + 1, 0)
    many = int((choice > 0).sum())
    share = many / people
    random = np.zeros((people, kinds + 1))
    random[:, 0], random[:, best] = 1 - share, share
    found = {BY_EFFECT: _sure(choice, kinds)}
    found |= {all_of(arms[arm]): _sure(np.full(people, arm), kinds) for arm in range(1, kinds + 1)}
    found[NONE] = _sure(np.zeros(people, dtype=np.int64), kinds)
    found[RISKIEST] = _sure(first(risk, many) * best, kinds)
    found[RANDOM] = random
    return found


def curve_chances(net: Matrix, risk: Vector, best: int) -> dict[str, list[Matrix]]:
    """Returns for each of SHARES the chances where so many are treated, by effect and by risk."""
    people, kinds = net.shape
    top = net.argmax(axis=1) + 1
    counts = [round(share * people) for share in SHARES]
    return {
        BY_EFFECT: [_sure(first(net.max(axis=1), many) * top, kinds) for many in counts],
        RISKIEST: [_sure(first(risk, many) * best, kinds) for many in counts],
    }


def first(score: Vector, many: int) -> Whole:
    """Returns 1 for the `many` highest of `score` (N,), 0 for the rest; of equals the earlier."""
    chosen = np.zeros(len(score), dtype=np.int64)
    chosen[np.argsort(-score, kind="stable")[:many]] = 1
    return chosen


def _sure(choice: Whole, kinds: int) -> Matrix:
    return (choice[:, None] == np.arange(kinds + 1)).astype(np.float64)
