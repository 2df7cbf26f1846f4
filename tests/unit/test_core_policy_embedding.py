"""A policy that reads the model's embedding: on the record, in the weighing, and never that of another version."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import MODEL, START, apply, catalogue, click, offer, partition, situation, source

from forestay.core.decision.answer import Answer, Embedding
from forestay.core.decision.catalogue import Catalogue
from forestay.core.policy.posterior import SIGNALS, Posterior
from forestay.core.policy.projection import Projection
from forestay.core.policy.signals import signals
from forestay.core.policy.weighing import weigh
from forestay.core.units import DAY
from forestay.rerun.scores import NoScores, ScoreBook
from forestay_schemas.decision import Decision
from forestay_schemas.types import Rung

PROJECTION = {"version": "7", "centre": [1.0, 0.0, -1.0], "axes": [[1.0, 0.0, 0.0], [0.0, 2.0, 2.0]]}
THERE = Embedding("7", (3.0, 0.5, 0.0))
LOYAL = {"spend_180d": 180.0, "tenure_hours": 24.0 * 365, "average_basket": 20.0, "orders_total": 4.0}
NUMBER = st.floats(-5, 5).map(lambda value: round(value, 2))


def reading(**weights: float) -> Catalogue:
    """Returns a catalogue whose one head weighs the two directions of the embedding so."""
    mean = [0.0] * len(SIGNALS) + [weights.get("embedding_1", 0.0), weights.get("embedding_2", 0.0)]
    content = posterior(mean, [*SIGNALS, "embedding_1", "embedding_2"]) | {"projection": PROJECTION}
    policy = {"kind": "linear_thompson", "posterior": content, "exploration": 0.0}
    return catalogue(offer("offer_a", effect=0.1), policy=policy)


def posterior(mean: list[float], names: Sequence[str] = SIGNALS) -> dict[str, Any]:
    """Returns a posterior as its file has it."""
    covariance = (np.eye(len(mean)) * 0.01).tolist()
    return {
        "signals": list(names),
        "function": "net-margin/1",
        "decisions": 1_000,
        "prior_deviation": 1.0,
        "heads": {"offer_a": {"decisions": 500, "mean": mean, "covariance": covariance}},
    }


@given(st.tuples(NUMBER, NUMBER, NUMBER))
def test_signals_are_what_the_axes_make_of_the_difference(numbers: tuple[float, ...]) -> None:
    told = Projection.model_validate(PROJECTION).of(Embedding("7", numbers))
    first, second, third = numbers
    assert told.tolist() == pytest.approx([first - 1.0, 2.0 * second + 2.0 * (third + 1.0)])


@pytest.mark.parametrize("embedding", [None, THERE._replace(version="8"), THERE._replace(numbers=(1.0, 2.0))])
def test_without_an_embedding_of_this_version_a_user_is_the_average_one(embedding: Embedding | None) -> None:
    shop = reading(embedding_1=5.0)
    assert Projection.model_validate(PROJECTION).of(embedding).tolist() == [0.0, 0.0]
    (_nothing, one) = weigh(shop.offers, situation(LOYAL)._replace(embedding=embedding), 0.5, shop)
    (_nothing, other) = weigh(shop.offers, situation(LOYAL), 0.5, shop)
    assert one == other


def test_heads_weigh_the_directions() -> None:
    shop = reading(embedding_1=5.0, embedding_2=-1.0)
    at = situation(LOYAL)
    values = [weigh(shop.offers, at._replace(embedding=one), 0.5, shop)[1].expected_value for one in (THERE, None)]
    # The first direction is 2 above the centre, the second 3.
    assert values[0] - values[1] == pytest.approx(5.0 * 2 - 1.0 * 3)
    assert len(signals(at, 0.5, shop)) == 16
    assert len(signals(at, 0.5, shop, Projection.model_validate(PROJECTION))) == 18


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"axes": [[1.0, 0.0]]}, "as many numbers as its centre: 3"),
        ({"axes": []}, "at least 1"),
        ({"version": ""}, "at least 1"),
        ({"centre": [float("nan")] * 3}, "finite"),
    ],
)
def test_what_is_no_projection_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Projection.model_validate({**PROJECTION, **change})


def test_heads_have_a_weight_for_each_signal() -> None:
    content = posterior([0.0] * len(SIGNALS))
    with pytest.raises(ValidationError, match="other signals than this version has"):
        Posterior.model_validate({**content, "projection": PROJECTION})
    names = [*content["signals"], "embedding_1", "embedding_2"]
    with pytest.raises(ValidationError, match="head of offer_a has 16 weights, not 18"):
        Posterior.model_validate({**content, "projection": PROJECTION, "signals": names})


def decided(shop: Catalogue, answer: Answer) -> Decision:
    core = partition(shop=shop)
    (asked,) = apply(core, [source(click("e1", event="purchase", price=5.0), 0)]).situations
    return core.settle([asked], {asked.decision_id: answer}, MODEL).decisions[0]


def test_a_decision_carries_what_was_asked_for_and_no_other() -> None:
    answer = Answer(0.5, MODEL, embedding=Embedding(MODEL.version, (0.25, -1.5)))
    asks = catalogue(offer("offer_a"), policy={"embedding": True})
    assert asks.digest() != catalogue(offer("offer_a")).digest()
    assert decided(asks, answer).embedding == (0.25, -1.5)
    assert '"embedding":[0.25,-1.5]' in decided(asks, answer).model_dump_json()
    assert '"embedding"' not in decided(catalogue(offer("offer_a")), answer).model_dump_json()
    assert decided(reading(), answer).embedding == (0.25, -1.5)


def test_without_the_model_there_is_none() -> None:
    core = partition(shop=catalogue(offer("offer_a"), policy={"embedding": True}))
    embedding = Embedding(MODEL.version, (0.25, -1.5))
    (first,) = apply(core, [source(click("e1", event="purchase", price=5.0), 0)]).situations
    core.settle([first], {first.decision_id: Answer(0.5, MODEL, embedding=embedding)}, MODEL)
    later = apply(core, [source(click("e2", event="purchase", price=5.0, ts=START + DAY), 1)]).situations
    answer = Answer(None, MODEL, embedding=embedding)
    (decision,) = core.settle(later, {later[0].decision_id: answer}, MODEL).decisions
    assert (decision.churn.rung, decision.embedding) == (Rung.CACHED, ())


def test_a_recorded_score_brings_its_embedding_along() -> None:
    shop = reading(embedding_1=5.0, embedding_2=-1.0)
    core = partition(shop=shop)
    (asked,) = apply(core, [source(click("e1", event="purchase", price=5.0), 0)]).situations
    answer = Answer(0.5, MODEL, embedding=Embedding(MODEL.version, THERE.numbers))
    (made,) = core.settle([asked], {asked.decision_id: answer}, MODEL).decisions
    book = ScoreBook(NoScores())
    book.add(made.model_dump_json().encode())
    (again,) = book.answer([asked])
    assert again.embedding == answer.embedding
