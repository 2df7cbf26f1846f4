"""Qini and AUUC by their definitions: against scikit-uplift where it is there, and counted by hand everywhere."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from forestay_training.uplift.checks import ratio_p
from forestay_training.uplift.curves import Ranked, Scored
from forestay_training.uplift.learners import robust_scores

pytestmark = pytest.mark.training

#: Predicted effect (few values, so that there are ties), treated, outcome.
People = list[tuple[int, int, int]]
people = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1), st.integers(0, 1)), min_size=4, max_size=60)


def arrays(drawn: People) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    effect, treated, outcome = np.array(drawn, dtype=np.float64).T
    assume(len(set(treated)) == 2)
    assume(len(set(outcome)) == 2)
    return effect, treated, outcome


def counted(drawn: People, kind: str) -> tuple[list[int], list[float]]:
    """Counts a curve person by person, without arrays."""
    ends, gained = [0], [0.0]
    for score in sorted({one[0] for one in drawn}, reverse=True):
        upto = [one for one in drawn if one[0] >= score]
        nt, nc = sum(t for _, t, _ in upto), sum(1 - t for _, t, _ in upto)
        yt, yc = sum(t * y for _, t, y in upto), sum((1 - t) * y for _, t, y in upto)
        ends.append(len(upto))
        if kind == "qini":
            gained.append(yt - (yc * nt / nc if nc else 0.0))
        else:
            gained.append(((yt / nt if nt else 0.0) - (yc / nc if nc else 0.0)) * len(upto))
    return ends, gained


@given(people)
def test_curves_are_what_counting_finds(drawn: People) -> None:
    ranked = Ranked(*arrays(drawn))
    for kind, curve in (("qini", ranked.qini()), ("uplift", ranked.uplift())):
        ends, gained = counted(drawn, kind)
        assert curve.people.tolist() == ends
        assert curve.gained == pytest.approx(gained, abs=1e-9)


@given(people)
def test_qini_and_auuc_are_scikit_uplifts(drawn: People) -> None:
    with warnings.catch_warnings():
        # It calls what scikit-learn 1.10 will no longer have.
        warnings.simplefilter("ignore")
        oracle = pytest.importorskip("sklift.metrics")
        effect, treated, outcome = arrays(drawn)
        scored = Scored(effect, treated, outcome)
        found = scored.qini(), scored.auuc()
        assume(all(np.isfinite(found)))
        whole = treated.astype(int), outcome.astype(int)
        wanted = (
            oracle.qini_auc_score(whole[1], effect, whole[0]),
            oracle.uplift_auc_score(whole[1], effect, whole[0]),
        )
    assert found == pytest.approx(wanted, abs=1e-9)


@given(people, st.data())
def test_a_weight_is_a_repeated_person(drawn: People, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(drawn), max_size=len(drawn)))
    effect, treated, outcome = arrays(drawn)
    repeated = [one for one, weight in zip(drawn, weights, strict=True) for _ in range(weight)]
    assume(repeated)
    again = Scored(*arrays(repeated))
    scored = Scored(effect, treated, outcome)
    counts = np.array(weights, dtype=np.float64)
    assert scored.qini(counts) == pytest.approx(again.qini(), abs=1e-9, nan_ok=True)
    assert scored.auuc(counts) == pytest.approx(again.auuc(), abs=1e-9, nan_ok=True)


def test_a_campaign_by_hand() -> None:
    # The first two are the treated buyer and an untreated one who did not buy: the order is perfect.
    effect, treated = np.array([4.0, 3.0, 2.0, 1.0]), np.array([1.0, 0.0, 1.0, 0.0])
    outcome = np.array([1.0, 0.0, 0.0, 1.0])
    curve = Ranked(effect, treated, outcome).qini()
    assert curve.gained.tolist() == [0, 1, 1, 1, 0]
    assert curve.area - curve.random == 3.0
    assert Scored(effect, treated, outcome).qini() == 1.0
    # Turned round: 0, 0, -1, -0.5, 0; its area is -1.5.
    assert Scored(-effect, treated, outcome).qini() == -0.5


def test_robust_scores_average_to_the_arms_means_whatever_is_expected() -> None:
    generator = np.random.default_rng(3)
    arm = np.repeat([0, 1, 2], [2_000, 4_000, 6_000])
    target = generator.normal(arm, 1.0)
    shares = np.array([1, 2, 3]) / 6
    for wrong in (0.0, 5.0):
        scores = robust_scores(arm, target, np.full((len(arm), 3), wrong), shares)
        assert scores.mean(axis=0) == pytest.approx([target[arm == one].mean() for one in range(3)], abs=1e-9)


def test_a_ratio_is_judged_by_what_was_meant() -> None:
    assert ratio_p([9_000, 1_000], [9, 1]) == 1.0
    assert ratio_p([9_000, 1_000], [1, 1]) < 1e-9
    assert ratio_p([5_100, 4_900], [1, 1]) == pytest.approx(0.0455, abs=1e-4)
