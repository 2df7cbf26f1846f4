"""The arithmetic of the read-out, against other people's figures and against naive sums."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forestay.core.errors import UsageError
from forestay_training.experiments import sequential
from forestay_training.experiments.always_valid import half_width
from forestay_training.experiments.arrays import Floats
from forestay_training.experiments.baseline import Baseline
from forestay_training.experiments.estimates import Sample, estimate, predicted, winsorised
from forestay_training.experiments.families import benjamini_hochberg, holm, sample_ratio
from forestay_training.experiments.planning import Design, plan
from forestay_training.experiments.simulating import Scene, Sums, simulate, statistics


def exactly(value: Any) -> Any:
    """Returns what equals `value` to nine digits."""
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def users(seed: int, size: int, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Returns a covariate and a metric that depends on it."""
    chance = np.random.default_rng(seed)
    known = chance.gamma(2.0, size=size)
    return known, known + chance.normal(3.0 + shift, 1.5, size=size)


@pytest.mark.parametrize("sizes", [(900, 1_100), (40, 400)])
def test_an_effect_is_welchs_to_nine_digits(sizes: tuple[int, int]) -> None:
    (_, control), (_, treated) = users(1, sizes[0]), users(2, sizes[1], 0.2)
    found = estimate(Sample(control), Sample(treated), 0.05)
    known = stats.ttest_ind(treated, control, equal_var=False)
    assert found.p_value == exactly(known.pvalue)
    assert found.interval == exactly(tuple(known.confidence_interval(0.95)))
    assert found.effect / found.standard_error == exactly(known.statistic)


def test_cuped_is_the_difference_of_residuals_to_nine_digits() -> None:
    (x_0, y_0), (x_1, y_1) = users(1, 700), users(2, 900, 0.2)
    found = estimate(Sample(y_0, None, x_0), Sample(y_1, None, x_1), 0.05)
    x, y = np.concatenate([x_0, x_1]), np.concatenate([y_0, y_1])
    slope = np.cov(x, y)[0, 1] / np.var(x, ddof=1)
    known = stats.ttest_ind(y_1 - slope * x_1, y_0 - slope * x_0, equal_var=False)
    assert found.p_value == exactly(known.pvalue)
    assert found.effect == exactly(np.mean(y_1 - slope * x_1) - np.mean(y_0 - slope * x_0))
    plain = estimate(Sample(y_0), Sample(y_1), 0.05)
    assert found.variance_cut == exactly(1 - (found.standard_error / plain.standard_error) ** 2)
    assert found.variance_cut > 0.3


def test_a_ratio_has_the_delta_methods_variance_to_nine_digits() -> None:
    (b_0, y_0), (b_1, y_1) = users(1, 700), users(2, 900, 0.2)
    found = estimate(Sample(y_0, b_0), Sample(y_1, b_1), 0.05)
    ratios = [np.mean(y) / np.mean(b) for y, b in ((y_0, b_0), (y_1, b_1))]
    variances = [
        np.var(y - ratio * b, ddof=1) / np.mean(b) ** 2 / len(y)
        for (y, b), ratio in zip(((y_0, b_0), (y_1, b_1)), ratios, strict=True)
    ]
    assert found.effect == exactly(ratios[1] - ratios[0])
    assert found.standard_error == exactly(np.sqrt(sum(variances)))


def test_covariates_are_weighed_by_what_they_foretell() -> None:
    chance = np.random.default_rng(3)
    columns = np.minimum(chance.normal(size=(500, 3)), 1.0)
    metric = columns @ [2.0, -1.0, 0.0] + 5
    assert predicted(metric, columns) == pytest.approx(metric)


def test_what_does_not_vary_has_no_interval_and_no_relative_effect_on_nothing() -> None:
    nothing, something = np.zeros(60), np.arange(60.0)
    assert estimate(Sample(nothing), Sample(nothing + 1), 0.05)[:4] == (0.0, 1.0, 1.0, None)
    found = estimate(Sample(nothing), Sample(something), 0.05)
    assert found.relative is None
    assert found.p_value is not None


def test_only_what_lies_above_the_quantile_is_cut() -> None:
    values = np.arange(2_000.0)
    assert np.flatnonzero(winsorised(values) != values).tolist() == [1_998, 1_999]


@pytest.mark.parametrize(
    ("fractions", "known"),
    # R's ldbounds, the values of Lan and DeMets' table for five looks.
    [([0.2, 0.4, 0.6, 0.8, 1.0], [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]), ([0.5, 1.0], [2.9626, 1.9686])],
)
def test_the_bounds_are_the_published_ones(fractions: list[float], known: list[float]) -> None:
    assert sequential.bounds(fractions, sequential.spent(fractions, 0.05)) == pytest.approx(known, abs=1e-3)


@pytest.mark.parametrize(
    ("fractions", "alpha", "known"),
    # spotify-confidence 4.1.0, which spends alpha * t ** 2: computed there.
    [
        ([0.2, 0.4, 0.6, 0.8, 1.0], 0.05, [3.09023, 2.71408, 2.47274, 2.27981, 2.11397]),
        ([0.1, 0.35, 0.7, 1.0], 0.01, [3.89059, 3.25454, 2.87693, 2.6949]),
        ([0.13, 0.5, 0.55, 0.98], 0.05, [3.33762, 2.51694, 2.59012, 2.05373]),
    ],
)
def test_the_bounds_are_those_of_another_program(fractions: list[float], alpha: float, known: list[float]) -> None:
    used = [alpha * fraction**2 for fraction in fractions]
    assert sequential.bounds(fractions, used) == pytest.approx(known, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6, unique=True), st.floats(0.01, 0.2))
def test_whenever_the_looks_come_they_spend_alpha(places: list[int], alpha: float) -> None:
    fractions = [place / max(places) for place in sorted(places)]
    at = sequential.bounds(fractions, sequential.spent(fractions, alpha))
    assert sum(sequential.crossing(fractions, at, 0.0)) == pytest.approx(alpha, abs=1e-6)


@pytest.mark.parametrize(
    ("error", "count", "narrowest_at", "known"),
    # The reference values of PostHog's test of the same equation: its intervals' half-widths.
    [(0.33368, 6_500, 1_000, 1.062915), (0.03354, 6_550, 5_000, 0.10192)],
)
def test_a_confidence_sequence_is_as_wide_as_elsewhere(
    error: float, count: int, narrowest_at: float, known: float
) -> None:
    assert half_width(error, count, 0.05, narrowest_at) == pytest.approx(known, rel=2e-4)


def test_a_confidence_sequence_is_narrowest_where_it_is_tuned_to_be() -> None:
    widths = [half_width(1 / np.sqrt(n), n, 0.05, 5_000) * np.sqrt(n) for n in (50, 500, 5_000, 50_000, 500_000)]
    assert min(widths) == widths[2]
    # A fixed interval at this size is 1.96 standard errors to either side.
    assert widths[2] == pytest.approx(3.04, abs=0.01)


def test_holm_gives_what_one_arm_does_not_need_to_the_others() -> None:
    p_values = {"a": 0.001, "b": 0.02, "c": 0.04}
    levels = holm(list(p_values), lambda arm, level: p_values[arm] < level, 0.05)
    assert levels == pytest.approx({"a": 0.05 / 3, "b": 0.05 / 2, "c": 0.05})
    p_values["b"] = 0.03
    assert holm(list(p_values), lambda arm, level: p_values[arm] < level, 0.05)["c"] == pytest.approx(0.025)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_the_false_discovery_rate_is_benjamini_and_hochbergs(values: list[float]) -> None:
    adjusted = benjamini_hochberg({str(number): value for number, value in enumerate(values)})
    for number, value in enumerate(values):
        above = [other for other in values if other >= value]
        naive = min(min(1.0, other * len(values) / sum(one <= other for one in values)) for other in above)
        assert adjusted[str(number)] == pytest.approx(naive)


@pytest.mark.parametrize(
    ("counts", "blocks"), [([5_000, 5_000], False), ([5_160, 4_840], False), ([5_170, 4_830], True)]
)
def test_sizes_that_come_once_in_a_thousand_experiments_are_no_accident(counts: list[int], blocks: bool) -> None:
    assert (sample_ratio(counts, [0.5, 0.5]) < 0.001) is blocks


def test_the_simulation_computes_what_the_read_out_does() -> None:
    chance = np.random.default_rng(5)
    score, treated = chance.random(800), chance.integers(2, size=800)
    back = (chance.random(800) < score).astype(np.float64)
    arms = [treated == 0, treated == 1]

    def summed(values: Floats) -> Floats:
        return np.array([[[values[arm].sum()] for arm in arms]])

    sums = Sums(summed(np.ones(800)), summed(back), summed(score), summed(score**2), summed(score * back))
    for covariate in (None, score):
        control, other = (Sample(back[arm], None, None if covariate is None else covariate[arm]) for arm in arms)
        found = estimate(control, other, 0.05)
        z = statistics(sums, score=covariate is not None)
        assert z[0, 0] == exactly(found.effect / found.standard_error)


def test_peeking_errs_and_looks_that_are_planned_do_not() -> None:
    scene = Scene(users=4_000, looks=10, simulations=500)
    told: list[tuple[int, int]] = []
    found = {
        (row["way"], row["score"]): row["found"] for row in simulate(scene, [0.0], lambda *done: told.append(done))
    }
    assert told[-1] == (500, 500)
    for score in (False, True):
        assert found["naive peeking", score] > 0.14
        assert 0.03 < found["fixed horizon", score] < 0.07
        assert 0.03 < found["group sequential", score] < 0.07
        assert found["confidence sequence", score] < 0.05


def share(mean: float) -> Baseline:
    return Baseline(mean, None, 0.0, None, 28)


def test_a_plan_keeps_its_word() -> None:
    size = plan(share(0.3), Design(0.2))["looks"]
    scene = Scene(users=size["users"], looks=5, simulations=600, explained=0.01)
    rows = simulate(scene, [0.2], lambda *_: None)
    row = next(row for row in rows if row["way"] == "group sequential" and not row["score"])
    assert row["found"] == pytest.approx(0.8, abs=0.05)
    assert row["users"] == pytest.approx(size["expected_users"], rel=0.05)


def test_a_plan_with_one_look_is_the_text_books() -> None:
    # (1.960 + 0.8416)^2 * 2 * sd^2 / (0.05 * 10)^2 users an arm, in two arms.
    found = plan(Baseline(10.0, 4.0, 0.0, 100, 7), Design(0.05, looks=3))
    assert found["one_look"]["users"] == pytest.approx(2 * 2 * (1.959964 + 0.841621) ** 2 * 16 / 0.25, abs=2)
    assert found["one_look"]["days"] == found["one_look"]["users"] / 100 + 7
    assert found["one_look"]["users"] < found["looks"]["users"]
    assert found["looks"]["expected_users"] < found["one_look"]["users"]
    powers = [point["power"] for point in found["power_curve"]]
    assert powers == sorted(powers)
    assert powers[3] == pytest.approx(0.8, abs=1e-4)
    halved = plan(Baseline(10.0, 4.0, 0.5, None, 7), Design(0.05, looks=3))
    assert halved["one_look"]["users"] == pytest.approx(found["one_look"]["users"] / 2, abs=2)


@pytest.mark.parametrize(
    ("metric", "lift"),
    [
        *((share(1.5), 0.1), (share(0.3), 0.0), (share(0.9), 0.2)),
        *((Baseline(0.0, 1.0, 0.0, None, 28), 0.2), (Baseline(5.0, 0.0, 0.0, None, 28), 0.2)),
    ],
)
def test_a_plan_without_a_question_is_refused(metric: Baseline, lift: float) -> None:
    with pytest.raises(UsageError, match=r"rate|lift|vary"):
        plan(metric, Design(lift))
