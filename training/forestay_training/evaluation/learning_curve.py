"""How many labelled users a network needs, with and without pre-training on what all users do.

Of the training users some are drawn, and their labels alone are learnt from; pre-training reads no label, so it sees
all of them, once. Every draw of users has a seed of its own for the fits that follow, both ways alike. A fifth of the
drawn users say when a network stops: their labels are counted, and LightGBM, whose setting is known, learns from them
too.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from forestay.core.errors import ForestayError
from forestay_training.evaluation.baselines import Probabilities, Trees
from forestay_training.evaluation.bootstrap import Comparison, Interval, mean_figures
from forestay_training.evaluation.rows import Division, Rows
from forestay_training.fitting import Recipe, fit, predict
from forestay_training.network import Shape
from forestay_training.pretraining import pretrain

#: Labelled users.
STEPS: Final = (250, 500, 1_000, 2_000)
#: Networks that are told apart: steps alone, and as it ships.
SHAPES: Final = {"transformer": Shape(features=False), "fused": Shape()}
#: Draws of users.
DRAWS: Final = 3
_JUDGED: Final = 0.2


class _Learnt(NamedTuple):
    """The rows of the labelled users: all, those that are fitted on, those that say when to stop."""

    all: Rows
    fitted: Rows
    judged: Rows


class Step(NamedTuple):
    """One number of labelled users: their rows, each model's AUC and what pre-training adds, means of the draws."""

    users: int
    rows: int
    auc: dict[str, Interval]
    pretraining: dict[str, Interval]


def learning_curve(
    division: Division, trees: Trees, recipe: Recipe, *, seed: int, draws: int, note: Callable[[str], None]
) -> list[Step]:
    """Returns the curve for those of `STEPS` that there are users for.

    Raises:
        ForestayError: there are too few for the first.
    """
    train, test = division.train, division.test
    everybody = np.unique(train.users)
    steps = [number for number in STEPS if number <= len(everybody)]
    if not steps:
        raise ForestayError(f"--learning-curve begins at {STEPS[0]} users, and there are {len(everybody)}")
    answers: dict[int, list[dict[str, Probabilities]]] = {number: [] for number in steps}
    rows: dict[int, list[int]] = {number: [] for number in steps}
    weights = {name: pretrain(train.set, replace(recipe, shape=shape), seed, note) for name, shape in SHAPES.items()}
    for draw in range(DRAWS):
        shuffled = np.random.default_rng(seed + draw).permutation(everybody)
        for number in steps:
            labelled = train.where(np.isin(train.users, shuffled[:number]))
            judged = np.isin(labelled.users, shuffled[: round(_JUDGED * number)])
            learnt = _Learnt(labelled, labelled.where(~judged), labelled.where(judged))
            rows[number].append(len(labelled))
            answers[number].append(
                dict(_answers(learnt, test, trees=trees, recipe=recipe, weights=weights, seed=seed + draw))
            )
            note(f"learning curve, draw {draw + 1} of {DRAWS}: {number:,} users, {len(labelled):,} rows")
    return [_step(number, rows[number], answers[number], test, draws) for number in steps]


def as_json(steps: list[Step]) -> list[dict[str, Any]]:
    """Returns the curve in plain values."""
    return [
        {
            "users": step.users,
            "rows": step.rows,
            "auc": {name: _plain(one) for name, one in step.auc.items()},
            "pretraining": {name: _plain(one) for name, one in step.pretraining.items()},
        }
        for step in steps
    ]


def _plain(interval: Interval) -> dict[str, Any]:
    return {"value": interval.value, "interval": [interval.low, interval.high]}


def _answers(
    learnt: _Learnt, test: Rows, *, trees: Trees, recipe: Recipe, weights: dict[str, Any], seed: int
) -> Iterator[tuple[str, Probabilities]]:
    yield "lightgbm", trees.fit(learnt.all)(test)
    teacher = trees.out_of_fold(learnt.fitted)
    for name, shape in SHAPES.items():
        course = partial(
            fit,
            learnt.fitted.set,
            learnt.judged.set,
            test.horizon,
            replace(recipe, shape=shape),
            seed,
            note=_silent,
            teacher=teacher if shape.features else None,
        )
        for suffix, pretrained in (("", None), (" pre-trained", weights[name])):
            yield name + suffix, predict(course(pretrained=pretrained).network, test.inputs)


def _step(users: int, rows: list[int], answers: list[dict[str, Probabilities]], test: Rows, draws: int) -> Step:
    """Means over the networks, on the same draws of test users."""
    found = [Comparison(test.users, test.churned, one, draws) for one in answers]
    return Step(
        users,
        round(float(np.mean(rows))),
        {name: mean_figures(found, name)["auc"] for name in answers[0]},
        {name: mean_figures(found, f"{name} pre-trained", name)["auc"] for name in SHAPES},
    )


def _silent(_text: str) -> None:
    """Epochs of dozens of fits are of no use to anybody."""
