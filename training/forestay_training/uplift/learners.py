"""Learners of the effect of each treatment on each person.

- `s`: one model with the arm as a feature; the effect is the difference of its answers.
- `t`: one model an arm; the effect is the difference of theirs.
- `x`: effects imputed from the other arm's model, then learnt, and mixed by the arms' shares.
  Kunzel et al., "Metalearners for estimating heterogeneous treatment effects", PNAS 2019 (s, t and x).
- `dr`: the doubly robust score of each person, learnt. Kennedy, "Towards optimal doubly robust estimation of
  heterogeneous causal effects", 2020. Right on average whatever the models say, since the shares are known.

`x` and `dr` are cross-fitted: what a person's score rests on was learnt from other people.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from forestay_training.uplift.campaign import Campaign, Matrix, Vector, Whole
from forestay_training.uplift.trees import Trees

Learner = Literal["s", "t", "x", "dr"]
LEARNERS: Final[tuple[Learner, ...]] = get_args(Learner)
_FOLDS: Final = 5
#: Answers the effects (N, K) of the treatments for features (N, F).
Effects = Callable[[Matrix], Matrix]


class Fitted(NamedTuple):
    """What was learnt: each treatment's effect, and what each arm expects, the control first, times `worth`."""

    effects: Effects
    means: tuple[Trees, ...]
    worth: float = 1.0

    def expect(self, features: Matrix) -> Matrix:
        """Returns the expected target in each arm (N, K + 1)."""
        return self.worth * np.stack([one.expect(features) for one in self.means], axis=1)


def fit(campaign: Campaign, target: Vector, learner: Learner, seed: int) -> Fitted:
    """Learns the effect on `target` (N,), the outcome or its money."""
    means = _means(campaign, target, np.ones(campaign.size, dtype=np.bool_), seed)
    if learner == "s":
        return Fitted(_single(campaign, target, seed), means)
    if learner == "t":
        return Fitted(lambda features: _apart([one.expect(features) for one in means]), means)
    found = _crossed(campaign, target, seed)
    learnt = _x if learner == "x" else _dr
    return Fitted(learnt(campaign, target, found, seed), means)


def _means(campaign: Campaign, target: Vector, used: np.typing.NDArray[np.bool_], seed: int) -> tuple[Trees, ...]:
    masks = [used & (campaign.arm == arm) for arm in range(len(campaign.arms))]
    return tuple(Trees(campaign.features[mask], target[mask], campaign.categorical, seed) for mask in masks)


def _apart(expected: list[Vector]) -> Matrix:
    return np.stack([one - expected[0] for one in expected[1:]], axis=1)


def _single(campaign: Campaign, target: Vector, seed: int) -> Effects:
    categorical = np.append(campaign.categorical, True)
    model = Trees(_with_arm(campaign.features, campaign.arm), target, categorical, seed)

    def effects(features: Matrix) -> Matrix:
        arms = range(len(campaign.arms))
        return _apart([model.expect(_with_arm(features, np.full(len(features), arm))) for arm in arms])

    return effects


def _with_arm(features: Matrix, arm: Whole) -> Matrix:
    return np.column_stack([features, arm])


def _crossed(campaign: Campaign, target: Vector, seed: int) -> Matrix:
    """Returns what each arm expects of each person (N, K + 1), learnt from the other folds."""
    fold = np.random.default_rng(seed).permutation(campaign.size) % _FOLDS
    answer = np.empty((campaign.size, len(campaign.arms)))
    for one in range(_FOLDS):
        models = _means(campaign, target, fold != one, seed)
        there = fold == one
        answer[there] = np.stack([model.expect(campaign.features[there]) for model in models], axis=1)
    return answer


def _x(campaign: Campaign, target: Vector, expected: Matrix, seed: int) -> Effects:
    control = campaign.arm == 0
    pairs = []
    for arm in range(1, len(campaign.arms)):
        treated = campaign.arm == arm
        of_treated = Trees(campaign.features[treated], (target - expected[:, 0])[treated], campaign.categorical, seed)
        of_control = Trees(
            campaign.features[control], (expected[:, arm] - target)[control], campaign.categorical, seed
        )
        pairs.append((float(treated.sum() / (treated.sum() + control.sum())), of_treated, of_control))

    def effects(features: Matrix) -> Matrix:
        # The larger the treated share, the better the control's effects are imputed by the treated's model.
        return np.stack(
            [
                share * of_control.expect(features) + (1 - share) * of_treated.expect(features)
                for share, of_treated, of_control in pairs
            ],
            axis=1,
        )

    return effects


def _dr(campaign: Campaign, target: Vector, expected: Matrix, seed: int) -> Effects:
    scores = robust_scores(campaign.arm, target, expected, campaign.shares)
    models = [
        Trees(campaign.features, scores[:, arm] - scores[:, 0], campaign.categorical, seed)
        for arm in range(1, len(campaign.arms))
    ]
    return lambda features: np.stack([one.expect(features) for one in models], axis=1)


def robust_scores(arm: Whole, target: Vector, expected: Matrix, shares: Vector) -> Matrix:
    """Returns each person's doubly robust score in each arm (N, K + 1): its mean is the mean target of that arm.

    Robins, Rotnitzky and Zhao, 1994. `expected` (N, K + 1) must be learnt from other people than these; the better it
    is the steadier are the scores, but it never makes them wrong, as `shares` (K + 1,) are the chances of the arms.
    """
    drawn = arm[:, None] == np.arange(len(shares))
    return np.asarray(expected + drawn * (target[:, None] - expected) / shares)
