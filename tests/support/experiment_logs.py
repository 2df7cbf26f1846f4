"""Logs of experiments that never were: decisions and outcomes as JSONL, with a known effect."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from support.builders import START, offer

from forestay.core.experiments.assignment import arm_of
from forestay.core.experiments.settings import Experiment
from forestay.core.units import DAY, HOUR, to_datetime
from forestay_schemas import rfc3339

HORIZON = 14
ARMS = [{"id": "control", "change": {"act": False}}, {"id": "coupon", "change": {"offers": ["a"]}}]


class World(NamedTuple):
    """What happens: `users` exposed evenly over `days`; `lift` multiplies the chance of coming back."""

    users: int = 2_000
    days: int = 40
    base: float = 0.3
    lift: float = 0.0
    seed: int = 1
    complaints: float = 0.0
    #: Share of the treated who are not in the log: what a broken tracker does.
    lost: float = 0.0


def experiment(**more: Any) -> dict[str, Any]:
    """Returns an experiment over 40 days from `START`, looked at every week."""
    plan = {"users": 2_000} | more.pop("plan", {})
    dates = {"from": rfc3339(to_datetime(START)), "until": rfc3339(to_datetime(START + 40 * DAY))}
    return {"id": "coupon", "layer": "offers", "salt": "coupon-1", "arms": ARMS, "plan": plan} | dates | more


def write_catalogue(path: Path, *experiments: dict[str, Any]) -> Path:
    content = {
        "name": "test",
        "offers": [offer("a"), offer("b")],
        "policy": {"exploration": 0},
        "experiments": list(experiments),
    }
    path.write_text(yaml.safe_dump(content))
    return path


def write_log(path: Path, world: World, given: dict[str, Any], *, as_of: int = 10_000) -> Path:
    """Writes what a log would hold: all decisions, and the outcomes that are ripe `as_of` days after `START`."""
    lines = list(_lines(world, Experiment.model_validate(given), START + as_of * DAY))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _lines(world: World, given: Experiment, as_of: int) -> Iterator[dict[str, Any]]:
    chance = np.random.default_rng(world.seed)
    for number in range(world.users):
        user, at = f"u{number}", START + number * world.days * DAY // world.users
        stay, back, angry, lost, spend = chance.random(5)
        arm = arm_of(given, user)
        assert arm is not None
        acts = arm.change.act
        if acts and lost < world.lost:
            continue
        probability = float(np.clip(1 - 2 * world.base * stay, 0, 1))
        returned = bool(back < (1 - probability) * (1 + world.lift * acts))
        would = {one.id: "a" if one.change.act else None for one in given.arms}
        yield decision(user, at - HOUR, probability, None, [trial(given.id, arm.id, dict.fromkeys(would))])
        yield decision(user, at, probability, would[arm.id], [trial(given.id, arm.id, would)], spend_180d=100 * spend)
        if at + HORIZON * DAY <= as_of:
            feedback = {"complained": 1} if acts and angry < world.complaints else {}
            yield outcome(user, at, returned=returned, margin=30 * returned * spend, cost=2.0 * acts, **feedback)


def trial(name: str, arm: str, would: dict[str, str | None]) -> dict[str, Any]:
    return {"experiment": name, "arm": arm, "would": would}


def decision(
    user: str, at: int, probability: float, offer_id: str | None, trials: list[dict[str, Any]], **features: float
) -> dict[str, Any]:
    return {
        "decision_id": f"{user}-{at}",
        "user_id": user,
        "decided_at": rfc3339(to_datetime(at)),
        "churn": {"probability": probability},
        "offer_id": offer_id,
        "features": features,
        "experiments": trials,
    }


def outcome(
    user: str, at: int, *, returned: bool, margin: float = 0.0, cost: float = 0.0, **feedback: int
) -> dict[str, Any]:
    """Returns the outcome of the decision on `user` at `at`, which matured when the horizon was over."""
    return {
        "decision_id": f"{user}-{at}",
        "user_id": user,
        "matured_at": rfc3339(to_datetime(at + HORIZON * DAY)),
        "horizon_days": HORIZON,
        "fragments": {
            "returned": returned,
            "orders": int(returned),
            "revenue": 3 * margin,
            "margin": margin,
            "cost": cost,
            "feedback": feedback,
        },
    }
