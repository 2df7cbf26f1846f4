"""Crashes at any record written: each decision has the outcome that it has without a crash."""

from random import Random

import pytest
from support.builders import catalogue, offer
from support.crash_sources import sources
from support.fakes import Model, hashing_model
from support.simulation import OUTCOMES, CrashError, Life, Logs

from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay_schemas import DecisionOutcome

SHOP = catalogue(offer("call", cost={"fixed": 2}), cooldown_days=3, policy={"exploration": 0.4, "margin": 0.5})
RULES = Rules(reward_horizon=9 * DAY)


def lived(seed: int, model: Model, crashes: int) -> Logs:
    """Lives one life after another, each but the last ended by a crash; the topics come in the same order."""
    records, random, logs = sources(Random(seed)), Random(seed), Logs()
    for life in range(crashes + 1):
        logs.crash_in = random.randint(0, 60) if life < crashes else None
        try:
            Life(logs, RULES, SHOP, model, random).run(records, reorder=False)
        except CrashError:
            continue
    return logs


def outcomes(logs: Logs) -> dict[str, DecisionOutcome]:
    found = [DecisionOutcome.model_validate_json(record.value or b"") for record in logs.topics[OUTCOMES]]
    return {one.decision_id: one for one in found}


@pytest.mark.parametrize("seed", range(12))
def test_no_outcome_is_lost_or_changed_by_crashes(seed: int) -> None:
    model = hashing_model("m")
    quiet, stormy = lived(seed, model, 0), lived(seed, model, 4)
    assert outcomes(stormy) == outcomes(quiet)
    assert len(outcomes(quiet)) > 10
