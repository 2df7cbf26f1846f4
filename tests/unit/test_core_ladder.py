"""The honest ladder: the model, its last score while fresh, a rule; each answer says on which rung it stood."""

from math import inf, nan

import pytest
from support.builders import MODEL, START, apply, click, partition, settle, situation, source, user

from forestay.core.decision.answer import Answer
from forestay.core.decision.ladder import RULE_MODEL, climb, rule_probability
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state.contact import Score
from forestay.core.state.state_codec import decode_user
from forestay.core.survival import Survival
from forestay.core.units import DAY, HOUR
from forestay_schemas import Rung
from forestay_schemas.retention_action import Factor

FRESH = Score(0.25, START - DAY, "6")


def remembered(core: Partition) -> tuple[float, int, str]:
    """The score remembered of the user."""
    score = user(core).score
    assert score is not None
    return score.probability, score.ts, score.version


@pytest.mark.parametrize("probability", [0.0, 1.0, 0.5, 5e-324])
def test_a_probability_from_the_model_is_the_first_rung(probability: float) -> None:
    churn = climb(situation(), FRESH, Answer(probability, MODEL), DAY)
    assert (churn.rung, churn.model, churn.version) == (Rung.MODEL, "churn_transformer", "7")
    assert churn.probability == round(probability, 6)
    assert churn.horizon_days == 60


def test_factors_come_with_the_models_answer_and_with_no_other() -> None:
    factors = (Factor(group="base", log_odds=0.25), Factor(group="rhythm", log_odds=1.234567))
    told = climb(situation(), FRESH, Answer(0.5, MODEL, factors), DAY).factors
    assert [(one.group, one.log_odds) for one in told] == [("base", 0.25), ("rhythm", 1.2346)]
    assert climb(situation(), FRESH, Answer(nan, MODEL, factors), DAY).factors == ()
    assert climb(situation(), None, Answer(None, MODEL, factors), DAY).factors == ()


@pytest.mark.parametrize("probability", [None, nan, inf, -inf, -0.0001, 1.0001, -5e-324])
def test_what_is_no_probability_counts_as_no_answer(probability: float | None) -> None:
    cached = climb(situation(), FRESH, Answer(probability, MODEL), DAY)
    assert (cached.rung, cached.probability, cached.version) == (Rung.CACHED, 0.25, "6")
    rule = climb(situation(), None, Answer(probability, MODEL), DAY)
    assert (rule.rung, rule.model, rule.version) == (Rung.RULE, RULE_MODEL, "1")


@pytest.mark.parametrize(("age", "rung"), [(0, Rung.CACHED), (DAY, Rung.CACHED), (DAY + 1, Rung.RULE)])
def test_the_last_score_stands_in_up_to_its_age_and_no_longer(age: int, rung: Rung) -> None:
    assert climb(situation(), Score(0.5, START - age, "6"), Answer(None, MODEL), DAY).rung == rung


def test_the_last_score_grows_with_silence_by_its_curve_until_an_order_voids_it() -> None:
    # Half return in the first 60 days; of who has not, a tenth in the next 60, and so on at that pace.
    curve = Survival((60 * 24, 120 * 24), (5_000, 4_500))
    last = Score(0.5, START - 60 * DAY, "6", curve)
    nothing = Answer(None, MODEL)
    silent = climb(situation({"hours_since_purchase": 61 * 24}), last, nothing, 90 * DAY)
    assert (silent.rung, silent.probability) == (Rung.CACHED, 0.9)
    ordered = climb(situation({"hours_since_purchase": 59 * 24}), last, nothing, 90 * DAY)
    assert (ordered.rung, ordered.probability) == (Rung.CACHED, 0.5)
    at_once = climb(situation({"hours_since_purchase": 61 * 24}), Score(0.5, START + 1, "6", curve), nothing, DAY)
    assert at_once.probability == 0.5
    nobody = Score(0.5, START - 60 * DAY, "6", Survival((24, 48), (5_000, 0)))
    assert climb(situation({"hours_since_purchase": 61 * 24}), nobody, nothing, 90 * DAY).probability == 0.5


@pytest.mark.parametrize("age", range(HOUR, 7 * DAY, 7_654_321))
def test_the_order_that_was_scored_is_none_since(age: int) -> None:
    """Ages that a 32-bit float rounds up and down."""
    curve = Survival((60 * 24, 120 * 24), (5_000, 4_500))
    core = partition()
    (situation,) = apply(core, [source(click("e1", event="purchase", price=5.0), 0)]).situations
    core.settle([situation], {situation.decision_id: Answer(0.5, MODEL, (), curve)}, MODEL)
    later = apply(core, [source(click("e2", ts=START + age), 1)]).situations
    (decision,) = core.settle(later, {}, MODEL).decisions
    assert decision.churn.rung == Rung.CACHED
    assert decision.churn.probability == round(curve.lasting(age / HOUR, 60 * 24), 6) != 0.5


def test_a_curve_stands_on_the_decision_and_in_the_state_that_a_takeover_reads() -> None:
    core = partition()
    curve = Survival((24, 240, 1_440), (9_900, 7_000, 1_235))
    applied = apply(core, [source(click(), 0)])
    answers = {applied.situations[0].decision_id: Answer(0.1235, MODEL, (), curve)}
    (decision,) = core.settle(applied.situations, answers, MODEL).decisions
    assert decision.churn.survival is not None
    assert (decision.churn.survival.hours, decision.churn.survival.shares) == curve
    (record,) = [record.value for record in core.checkpoint(1, 0) if record.key == b"u1"]
    assert record is not None
    score = decode_user(record, DEFAULT_FEATURES).score
    assert score is not None
    assert score.survival == curve


@pytest.mark.parametrize("curve", [Survival((24, 12), (9_000, 8_000)), Survival((24,), (10_001,)), Survival((), ())])
def test_what_is_no_curve_is_not_kept(curve: Survival) -> None:
    """Else the decision is made, and nobody can take over the partition whose state holds it."""
    core = partition()
    applied = apply(core, [source(click(), 0)])
    answers = {applied.situations[0].decision_id: Answer(0.5, MODEL, (), curve)}
    (decision,) = core.settle(applied.situations, answers, MODEL).decisions
    assert (decision.churn.rung, decision.churn.survival) == (Rung.MODEL, None)
    (record,) = [record.value for record in core.checkpoint(1, 0) if record.key == b"u1"]
    assert record is not None
    score = decode_user(record, DEFAULT_FEATURES).score
    assert score is not None
    assert score.survival is None


def test_the_rule_says_even_odds_at_twice_the_usual_gap_and_rises_with_silence() -> None:
    def rule(silent: float, gap: float) -> float:
        return rule_probability(situation({"hours_since_last_event": silent, "session_gap_mean_hours": gap}))

    assert rule(200, 100) == pytest.approx(0.5)
    # Thirty days are the usual gap of a user without a rhythm.
    assert rule(1440, 0) == pytest.approx(0.5)
    rising = [rule(silent, 100) for silent in (0, 1, 10, 100, 1_000, 17_520)]
    assert rising == sorted(rising)
    assert 0 < rising[0] < rising[-1] < 1


def test_a_partition_climbs_down_and_up_again_and_stamps_each_rung() -> None:
    core = partition(Rules(score_max_age=2 * DAY))
    rungs = []
    for number, (probability, day) in enumerate([(None, 0), (0.7, 1), (None, 2), (nan, 3), (None, 4), (0.2, 5)]):
        event = source(click(f"e{number}", ts=START + day * DAY), number)
        decisions = settle(core, [event], probability).decisions
        rungs.append((decisions[-1].churn.rung.value, decisions[-1].churn.probability))
    assert [rung for rung, _ in rungs] == ["rule", "model", "cached", "cached", "rule", "model"]
    assert [p for rung, p in rungs if rung != "rule"] == [0.7, 0.7, 0.7, 0.2]
    assert remembered(core) == (0.2, START + 5 * DAY, "7")


def test_only_the_models_own_answers_are_remembered_as_scores() -> None:
    core = partition()
    settle(core, [source(click(), 0)], None)
    assert user(core).score is None
    settle(core, [source(click("e2", ts=START + HOUR), 1)], 0.123456789)
    # Rounded as logged: a score taken from the log after a crash is the same score.
    assert remembered(core) == (0.123457, START + HOUR, "7")
