"""Drift: seldom a false alarm where nothing changes, soon one where something does. Seeds are printed."""

from typing import Final

import numpy as np
import pytest
from support.builders import START
from support.watching import inputs, rows, served_reference, shifted

from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.decision.model_input import ModelInput
from forestay.core.decision.situation import Situation
from forestay.core.units import DAY, HOUR
from forestay.core.watch.alarms import Alarms
from forestay.core.watch.findings import Finding, Judged, judge
from forestay.core.watch.reference import Reference, reference_of
from forestay.core.watch.seen import Seen
from forestay.core.watch.stability import chi_squared, psi, psi_by_chance
from forestay.core.watch.tally import Tally, rows_of
from forestay_schemas.retention_action import Trigger
from forestay_schemas.types import TriggerKind

NOTHING: Final = Seen()
TRIGGER: Final = Trigger(kind=TriggerKind.EVENT, event_id="e1", topic="clicks", partition=0, offset=0)


def of(judged: Judged, name: str) -> Finding:
    return next(one for one in judged.findings if one.name == name)


@pytest.mark.parametrize(("degrees", "exact"), [(1, 15.137), (4, 23.513), (9, 33.720), (19, 50.795)])
def test_the_quantile_is_never_too_low_and_hardly_too_high(degrees: int, exact: float) -> None:
    """Exact: scipy.stats.chi2.ppf(0.9999, degrees)."""
    assert exact <= chi_squared(degrees) <= 1.08 * exact


@pytest.mark.parametrize(("rows_seen", "reference_rows", "bins"), [(300, 1_000, 10), (5_000, 500, 10), (400, 400, 3)])
def test_chance_alone_passes_the_limit_once_in_ten_thousand(rows_seen: int, reference_rows: int, bins: int) -> None:
    random = np.random.default_rng(11)
    shares = random.dirichlet(np.full(bins, 20.0))
    limit = psi_by_chance(bins, rows_seen, reference_rows)
    pairs = zip(
        random.multinomial(rows_seen, shares, 20_000), random.multinomial(reference_rows, shares, 20_000), strict=True
    )
    passed = sum(psi(seen, reference) > limit for seen, reference in pairs)
    print(f"seed 11: {passed} of 20,000 above the limit")
    assert passed <= 10


def test_a_stationary_month_has_at_most_one_false_alarm_a_feature() -> None:
    """A small shop, where chance is at its largest: 240 users scored a day, an alarm looked for every hour."""
    seed, perhour = 5, 10
    random = np.random.default_rng(seed)
    reference = served_reference(random, 1_000)
    pool, scores = inputs(random, 20_000), random.beta(2, 3, 20_000)
    tally, begun, alarms = Tally(reference), dict.fromkeys((column.name for column in reference.columns), 0), Alarms()
    for hour in range(30 * 24):
        chosen = random.integers(0, 20_000, perhour)
        given = ModelInput(pool.step_tokens[chosen], pool.step_numbers[chosen], pool.features[chosen])
        now = START + hour * HOUR
        tally.take(now, NOTHING, rows(given, scores[chosen], now, first_user=hour * perhour))
        if hour < 24:
            continue
        for finding in alarms.take(now, judge([tally], reference).findings).begun:
            begun[finding.of] += 1
    print(f"seed {seed}: false alarms in a month by column: {begun}")
    assert max(begun.values()) <= 1
    assert sum(begun.values()) <= 0.5 * len(begun)


def test_a_feature_that_doubles_is_found_within_the_day_and_named_alone() -> None:
    random = np.random.default_rng(6)
    reference = served_reference(random)
    tally, found = Tally(reference), None
    for hour in range(48):
        given, now = inputs(random, 100), START + hour * HOUR
        given = shifted(given, "spend_90d", 2.0) if hour >= 24 else given
        tally.take(now, NOTHING, rows(given, random.beta(2, 3, 100), now, first_user=hour * 100))
        judged = judge([tally], reference)
        if judged.alarms and found is None:
            found = hour
            assert [one.name for one in judged.alarms] == ["psi of spend_90d"]
    print(f"seed 6: found after {found and found - 23} hours")
    assert found is not None
    assert 24 <= found <= 44


def test_against_rows_of_cutoffs_psi_is_told_and_is_no_alarm() -> None:
    random = np.random.default_rng(8)
    reference = Reference(reference_of(inputs(random, 2_000), random.beta(2, 3, 2_000)))
    tally = Tally(reference)
    tally.take(START, NOTHING, rows(shifted(inputs(random, 500), "spend_90d", 9), random.beta(2, 3, 500), START))
    finding = of(judge([tally], reference), "psi of spend_90d")
    assert finding.value is not None
    assert finding.limit is not None
    assert finding.value > finding.limit
    assert not finding.alarm


def test_a_user_counts_once_a_day() -> None:
    random = np.random.default_rng(9)
    reference, tally = served_reference(random), Tally(served_reference(random))
    given, scores = inputs(random, 300), random.beta(2, 3, 300)
    for hour in (0, 5, 23):
        tally.take(START + hour * HOUR, NOTHING, rows(given, scores, START + hour * HOUR))
    once = of(judge([tally], reference), "psi of score").rows
    assert 295 <= once <= 300
    tally.take(START + 24 * HOUR, NOTHING, rows(given, scores, START + DAY))
    assert of(judge([tally], reference), "psi of score").rows == once


def test_partitions_are_judged_together_and_old_hours_fall_out() -> None:
    random = np.random.default_rng(10)
    reference = served_reference(random)
    tallies = [Tally(reference), Tally(reference)]
    for at, tally in enumerate(tallies):
        tally.take(START, NOTHING, rows(inputs(random, 150), random.beta(2, 3, 150), START, first_user=1_000 * at))
    together = judge(tallies, reference)
    assert of(together, "psi of tenure_hours").rows > 290
    assert of(together, "psi of tenure_hours").value is not None
    assert of(judge(tallies[:1], reference), "psi of tenure_hours").value is None
    tallies[0].take(START + 2 * DAY, NOTHING, [])
    assert of(judge(tallies[:1], reference), "psi of tenure_hours").rows == 0


def test_rows_without_a_score_count_for_the_features_alone() -> None:
    random = np.random.default_rng(12)
    reference, tally = served_reference(random), Tally(served_reference(random))
    unscored = [row._replace(probability=None) for row in rows(inputs(random, 300), np.zeros(300), START)]
    tally.take(START, NOTHING, unscored)
    judged = judge([tally], reference)
    assert of(judged, "psi of score").rows == 0
    assert of(judged, "psi of tenure_hours").rows > 290
    assert judged.expected_auc is None


def test_nothing_at_all_is_no_alarm() -> None:
    assert judge([], None).alarms == []
    assert judge([Tally(None)], None).alarms == []


@pytest.mark.parametrize("said", [-0.3, 1.7, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_probability_is_no_answer_and_ends_no_watch(said: float) -> None:
    """A model that has gone wrong is what is watched for: it must not be what ends the watch."""
    random = np.random.default_rng(3)
    given, scores = inputs(random, 400), random.beta(2, 3, 400)
    reference = Reference(reference_of(given, scores, returned=(scores < 0.5).astype(float), moments="scored"))
    situations = [
        Situation(
            f"d{at}",
            f"u{at}",
            START,
            START,
            TRIGGER,
            None,
            ModelInput(given.step_tokens[at], given.step_numbers[at], given.features[at]),
        )
        for at in range(300)
    ]
    model = ModelIdentity("m", "1", 60)
    wrong, none = (rows_of(situations, [Answer(one, model)] * len(situations)) for one in (said, None))
    tallies = [Tally(reference), Tally(reference)]
    for tally, found in zip(tallies, (wrong, none), strict=True):
        tally.take(START, NOTHING, found)
        tally.take(START + 2 * DAY, NOTHING, [])
    assert wrong == none
    np.testing.assert_array_equal(tallies[0].scores, tallies[1].scores)
    assert tallies[0].returns.ever.tolist() == tallies[1].returns.ever.tolist() == [0, 0, 0, 0]
