"""Judges a campaign: checks it, learns effects from one part, and tells on the other what they are worth."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from forestay_training.uplift.campaign import Campaign
from forestay_training.uplift.checks import balance, ratio_p
from forestay_training.uplift.conclusion import conclusions, objections, warnings
from forestay_training.uplift.intervals import drawn_weights, rounded
from forestay_training.uplift.learners import Fitted, Learner, fit
from forestay_training.uplift.ranking import rank
from forestay_training.uplift.valuing import Told, value_policies

Tell = Callable[[str, int, int | None], None]


class Way(NamedTuple):
    """How it is judged: `cost` (K,) of each treatment, `ratio` (K + 1,) the arms were meant to have."""

    learner: Learner
    cost: tuple[float, ...]
    ratio: tuple[float, ...]
    draws: int
    seed: int


def assess(train: Campaign, test: Campaign, way: Way, tell: Tell) -> dict[str, Any]:
    """Returns the figures as one object.

    The estimates are there even where the campaign is refused: `randomised` false says that they are no effects.
    """
    checks = _checks(train, test, way)
    tell("models", 0, 2)
    on_outcome = fit(train, train.outcome, way.learner, way.seed)
    tell("models", 1, 2)
    # Money that is proportional to the outcome tells nothing more.
    on_value = _scaled(on_outcome, train) or fit(train, train.value, way.learner, way.seed)
    tell("models", 2, 2)
    weights = drawn_weights(test.size, way.draws, way.seed)
    expected = on_outcome.expect(test.features)
    treatments = rank(
        test, on_outcome.effects(test.features), weights, lambda done: tell("treatments", done, len(test.arms) - 1)
    )
    judged = value_policies(
        train,
        test,
        way.cost,
        Told(on_value.effects(test.features), on_value.expect(test.features), 1 - expected[:, 0]),
        weights,
    )
    qini = {name: one["qini"] for name, one in treatments.items()}
    said = [] if checks["objections"] else conclusions(qini, judged["differences"])
    return {"checks": checks, "treatments": treatments, **judged, "conclusions": said}


def _scaled(on_outcome: Fitted, train: Campaign) -> Fitted | None:
    """Returns what was learnt of the outcome as money, if all outcomes are worth the same and nothing else is."""
    came = train.outcome == 1
    seen = np.unique(train.value[came])
    if len(seen) != 1 or (train.value[~came] != 0).any():
        return None
    worth = float(seen[0])
    return Fitted(lambda features: on_outcome.effects(features) * worth, on_outcome.means, worth)


def _checks(train: Campaign, test: Campaign, way: Way) -> dict[str, Any]:
    every = train.with_(test)
    ratio = ratio_p(every.counts.tolist(), way.ratio)
    found = {name: balance(every, arm) for arm, name in enumerate(every.arms) if arm}
    against = objections(ratio, {name: one.p for name, one in found.items()})
    return {
        "randomised": not against,
        "people": dict(zip(every.arms, every.counts.tolist(), strict=True)),
        "ratio_p": ratio,
        "balance": {
            name: {"p": one.p, "most_apart": one.worst[0], "by": rounded(one.worst[1])} for name, one in found.items()
        },
        "objections": against,
        "warnings": warnings({name: one.worst for name, one in found.items()}),
    }
