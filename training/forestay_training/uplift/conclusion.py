"""What the intervals allow to be said, in words."""

from collections.abc import Mapping
from typing import Any

from forestay_training.uplift.checks import ALARM, NOTABLE
from forestay_training.uplift.policies import BY_EFFECT, NONE, RANDOM, RISKIEST


def objections(ratio: float, joint: Mapping[str, float]) -> list[str]:
    """Returns why the campaign cannot be taken for randomised; `joint` holds each treatment's p of the F-test."""
    found = []
    if ratio < ALARM:
        found.append(
            f"sample ratio mismatch (p = {ratio:.2g}): the arms are not of the sizes they were meant to be;"
            " if they were meant to differ, say --ratio"
        )
    found += [
        f"the features foretell who got {arm} (p = {p:.2g}): the arms were not drawn by chance, or a feature was"
        " measured after the treatment (--leave-out it)"
        for arm, p in joint.items()
        if p < ALARM
    ]
    return found


def warnings(worst: Mapping[str, tuple[str, float]]) -> list[str]:
    """Returns which arms differ notably in a feature."""
    return [
        f"{arm}: {name} differs by {apart:+.2f} standard deviations from the control"
        for arm, (name, apart) in worst.items()
        if abs(apart) > NOTABLE
    ]


def conclusions(qini: Mapping[str, Mapping[str, Any]], differences: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns sentences, one a claim; `differences` are by effect less each other policy."""
    said = [_order(arm, one["interval"]) for arm, one in qini.items()]
    for name, one in differences.items():
        said.append(_claim(_worded(name), one["interval"]))
    return said


def _order(arm: str, span: list[float] | None) -> str:
    if span is not None and span[0] > 0:
        return f"{arm}: the predicted effects rank people better than chance"
    if span is not None and span[1] < 0:
        return f"{arm}: the predicted effects rank people worse than chance"
    return f"{arm}: no evidence that the predicted effects rank people better than chance"


def _claim(other: str, span: list[float] | None) -> str:
    if span is not None and span[0] > 0:
        return f"treating by effect beats {other}"
    if span is not None and span[1] < 0:
        return f"treating by effect does worse than {other}"
    return f"no evidence that treating by effect beats {other}"


def _worded(name: str) -> str:
    told = {
        NONE: "treating no one",
        RISKIEST: "treating as many of the riskiest",
        RANDOM: "treating as many by chance",
        BY_EFFECT: "itself",
    }
    return told.get(name) or f"treating {name.replace('all: ', 'all with ', 1)}"
