"""Several versions behind one scorer: who is answered by which, what fails over, and what a shadow may not do."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from unittest.mock import AsyncMock

import numpy as np
import pytest
from support.builders import START, click, source
from support.rerunning import ran
from support.versions import Outputs, Says, StandIn, fails, hangs, questions, says
from tritonclient.utils import InferenceServerException

from forestay.core.decision.length_buckets import Bucket
from forestay.core.decision.model_input import ModelInput
from forestay.core.errors import ForestayError
from forestay.core.survival import Survival
from forestay.core.units import HOUR
from forestay.rerun.outputs import Kind
from forestay.rerun.scores import NoScores, ScoreBook
from forestay.rerun.triton_scores import TritonScores
from forestay.settings import TritonSettings
from forestay.shell.scorer import TritonScorer
from forestay.shell.scoring.rollout import Rollout

Open = Callable[[StandIn], AbstractAsyncContextManager[TritonScorer]]
CANARY = Rollout(1, canary=2, canary_share=0.3, canary_salt="s")


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch) -> Open:
    @asynccontextmanager
    async def scoring(server: StandIn) -> AsyncIterator[TritonScorer]:
        monkeypatch.setattr("forestay.shell.scorer.triton.InferenceServerClient", lambda **_: server)
        async with TritonScorer(TritonSettings(deadline_seconds=0.4, breaker_failures=2)) as scorer:
            yield scorer

    return scoring


def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the scorer ask before each batch which versions are served."""
    monkeypatch.setattr("forestay.shell.scorer._IDENTITY_SECONDS", 0.0)


async def test_a_canary_answers_its_users_and_stands_on_their_answers(scoring: Open) -> None:
    server = StandIn({"1": says(0.25), "2": says(0.75)}, CANARY)
    async with scoring(server) as scorer:
        answers = await scorer.score(questions(300))
        assert scorer.model.version == "m1"
        told = scorer.told()["served"]
        assert (told["current"], told["canary"], told["shadow"]) == ("m1", "m2", None)
    tried = [CANARY.is_canary(f"u{number}") for number in range(300)]
    assert 60 < sum(tried) < 120
    assert [answer.model.version for answer in answers] == ["m2" if one else "m1" for one in tried]
    assert [answer.probability for answer in answers] == [0.75 if one else 0.25 for one in tried]
    assert scorer.report.answered == {"m2": sum(tried), "m1": 300 - sum(tried)}


@pytest.mark.parametrize("canary", [fails, hangs, says(math.nan), says(1.5)])
async def test_where_the_canary_fails_the_current_version_answers(scoring: Open, canary: Says) -> None:
    server = StandIn({"1": says(0.25), "2": canary}, CANARY)
    async with scoring(server) as scorer:
        for _ in range(4):
            answers = await scorer.score(questions(20))
            assert {(answer.model.version, answer.probability) for answer in answers} == {("m1", 0.25)}
        # After two failures it is left alone for a while.
        assert server.requests["2"] == 2
        assert scorer.report.canary_failed == server.users["2"] > 0


async def test_a_share_of_nobody_and_of_everybody(scoring: Open) -> None:
    for share, version in ((0.0, "m1"), (1.0, "m2")):
        server = StandIn({"1": says(0.25), "2": says(0.75)}, CANARY._replace(canary_share=share))
        async with scoring(server) as scorer:
            assert {answer.model.version for answer in await scorer.score(questions(9))} == {version}
        assert len(server.requests) == 1


async def test_a_promotion_is_heard_of_in_time(scoring: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    soon(monkeypatch)
    server = StandIn({"1": says(0.25), "2": says(0.75)}, Rollout(1))
    async with scoring(server) as scorer:
        assert [answer.model.version for answer in await scorer.score(questions(1))] == ["m1"]
        server.rollout = Rollout(2, before=(1,), former=1)
        assert [answer.model.version for answer in await scorer.score(questions(1))] == ["m2"]


async def test_a_version_that_is_gone_is_replaced_within_the_same_batch(scoring: Open) -> None:
    server = StandIn({"1": says(0.25)}, Rollout(1))
    async with scoring(server) as scorer:
        await scorer.score(questions(1))
        server.versions, server.rollout = {"2": says(0.75)}, Rollout(2)
        answers = await scorer.score(questions(3))
    assert {(answer.model.version, answer.probability) for answer in answers} == {("m2", 0.75)}


async def test_a_model_of_one_version_that_gets_another_is_noticed_by_who_answers(scoring: Open) -> None:
    """It declares no roll-out, so Triton is asked for the newest: the stamp must not be of the version before."""
    server = StandIn({"1": says(0.25)}, None)
    async with scoring(server) as scorer:
        assert [answer.model.version for answer in await scorer.score(questions(1))] == ["m1"]
        server.versions["2"] = says(0.75)
        answers = await scorer.score(questions(2))
    assert {(answer.model.version, answer.probability) for answer in answers} == {("m2", 0.75)}


async def test_a_canary_of_another_input_is_left_out(scoring: Open, caplog: pytest.LogCaptureFixture) -> None:
    server = StandIn({"1": says(0.25), "2": says(0.75)}, CANARY)
    server.facts["2"] = {"input_digest": "other"}
    async with scoring(server) as scorer:
        assert {answer.model.version for answer in await scorer.score(questions(30))} == {"m1"}
    assert "left out" in caplog.text


async def test_factors_and_curve_come_with_the_probability(scoring: Open) -> None:
    server = StandIn({"1": says(0.25, contributions=[0.5, -0.125], survival=[0.9, 0.6])}, Rollout(1))
    server.outputs = ["churn_probability", "contributions", "survival", "embedding"]
    server.facts["1"] = {"groups": "recency,steps", "horizons": "12h,7d"}
    async with scoring(server) as scorer:
        (answer,) = await scorer.score(questions(1))
    assert [(factor.group, factor.log_odds) for factor in answer.factors] == [("recency", 0.5), ("steps", -0.125)]
    assert answer.survival == Survival((12, 168), (9_000, 6_000))


@pytest.mark.parametrize("curve", [[0.5, 0.9], [math.nan, 0.1], [1.5, 0.1], [1e30, 0.1], [0.1, -1e30]])
async def test_what_is_no_curve_is_left_out(scoring: Open, curve: list[float]) -> None:
    server = StandIn({"1": says(0.25, contributions=[math.inf, 0.0], survival=curve)}, Rollout(1))
    server.outputs = ["churn_probability", "contributions", "survival"]
    server.facts["1"] = {"groups": "recency,steps", "horizons": "1d,7d"}
    async with scoring(server) as scorer:
        (answer,) = await scorer.score(questions(1))
    assert (answer.probability, answer.factors, answer.survival) == (0.25, (), None)


def test_a_model_that_triton_does_not_know_is_not_a_triton_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Elsewhere(StandIn):
        async def get_model_config(self, *_: object, **__: object) -> dict[str, object]:
            raise InferenceServerException("Request for unknown model: 'churn_next' is not found")

    server = Elsewhere({"1": says(0.25)}, None)
    monkeypatch.setattr("forestay.shell.scorer.triton.InferenceServerClient", lambda **_: server)
    with TritonScores(TritonSettings(model="churn_next")) as scores, pytest.raises(ForestayError) as caught:
        ran([source(click("e1", "u1", "purchase", ts=START), 0)], scores=scores)
    assert "answers, but has no model churn_next that is ready" in str(caught.value)
    assert "does not answer" not in str(caught.value)


def test_what_two_versions_decided_is_made_again_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    server = StandIn({"1": says(0.25), "2": says(0.75), "3": says(0.5)}, CANARY._replace(shadow=3))
    monkeypatch.setattr("forestay.shell.scorer.triton.InferenceServerClient", lambda **_: server)
    stream = [source(click(f"e{n}", f"u{n % 30}", ts=START + n * HOUR), n) for n in range(90)]
    with TritonScores(TritonSettings()) as scores:
        _, kept = ran(stream, scores=scores)
    # Nobody waits for a shadow here, so none is asked.
    assert server.requests["3"] == 0
    decisions = kept.values(Kind.DECISIONS)
    stamped = {one["user_id"]: one["churn"]["version"] for one in map(json.loads, decisions)}
    assert stamped == {user: "m2" if CANARY.is_canary(user) else "m1" for user in stamped}
    assert len(set(stamped.values())) == 2
    book = ScoreBook(NoScores())
    for value in decisions:
        book.add(value)
    _, again = ran(stream, scores=book)
    assert again.records == kept.records


# -- the shadow --------------------------------------------------------------------------------------

SHADOW = Rollout(1, shadow=2)


async def test_a_shadow_scores_the_same_users_and_its_differences_are_kept(scoring: Open) -> None:
    server = StandIn({"1": says(0.25), "2": says(0.75)}, SHADOW)
    async with scoring(server) as scorer:
        answers = await scorer.score(questions(5))
        await scorer.settled()
    assert {answer.model.version for answer in answers} == {"m1"}
    (told,) = scorer.report.told()["differences"]
    assert (told["answering"], told["shadow"], told["users"]) == ("m1", "m2", 5)
    assert told["mean_difference"] == told["mean_absolute_difference"] == told["largest_difference"] == 0.5
    assert told["crossing_share"] == 1.0


async def test_a_shadow_beside_a_canary_is_compared_with_who_answered(scoring: Open) -> None:
    server = StandIn({"1": says(0.25), "2": says(0.75), "3": says(0.5)}, CANARY._replace(shadow=3))
    async with scoring(server) as scorer:
        await scorer.score(questions(20))
        await scorer.settled()
    assert {pair: found.count for pair, found in scorer.report.differences.items()} == {
        ("m1", "m3"): scorer.report.answered["m1"],
        ("m2", "m3"): scorer.report.answered["m2"],
    }


async def test_a_shadow_neither_delays_nor_piles_up(scoring: Open) -> None:
    released = asyncio.Event()

    async def held(rows: int) -> Outputs:
        await released.wait()
        return await says(0.5)(rows)

    server = StandIn({"1": says(0.25), "2": held}, SHADOW)
    async with scoring(server) as scorer:
        for _ in range(10):
            assert (await scorer.score(questions(3)))[0].probability == 0.25
        # Two batches are under way, and it is asked about no more until it is done with one.
        assert scorer.report.shadow_dropped == 8 * 3
        released.set()
        await scorer.settled()
        assert scorer.report.differences["m1", "m2"].count == 2 * 3
        released.clear()
        await scorer.score(questions(3))
    # What is under way at the end is given up.
    assert scorer.report.differences["m1", "m2"].count == 2 * 3


@pytest.mark.parametrize("shadow", [fails, hangs, says(math.nan)])
async def test_a_shadow_that_fails_is_counted(scoring: Open, shadow: Says) -> None:
    server = StandIn({"1": says(0.25), "2": shadow}, SHADOW)
    async with scoring(server) as scorer:
        assert (await scorer.score(questions(3)))[0].probability == 0.25
        await scorer.settled()
    assert scorer.report.shadow_failed == 3
    assert not scorer.report.told()["differences"]


async def test_the_log_tells_the_differences(scoring: Open, caplog: pytest.LogCaptureFixture) -> None:
    server = StandIn({"1": says(0.25), "2": says(0.5)}, SHADOW)
    with caplog.at_level(logging.INFO):
        async with scoring(server) as scorer:
            await scorer.score(questions(2))
            await scorer.settled()
    assert "shadow m2 beside m1: 2 users, 0.2500 apart on average (+0.2500)" in caplog.text


async def test_without_an_answer_there_is_nothing_to_compare(scoring: Open) -> None:
    async def empty(rows: int) -> Outputs:
        return {"churn_probability": np.full((rows, 2), 0.5, np.float32)}

    server = StandIn({"1": empty, "2": says(0.5)}, SHADOW)
    async with scoring(server) as scorer:
        assert [answer.probability for answer in await scorer.score(questions(2))] == [None, None]
        await scorer.settled()
    assert server.requests["2"] == 0


async def test_where_one_length_fails_the_requests_of_the_others_are_called_off(
    scoring: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they would run on beside those of the next batch, more at once than triton.max_in_flight."""
    called_off: list[int] = []

    async def short_ones_fail(rows: int) -> Outputs:
        if rows == 3:
            raise InferenceServerException("no")
        try:
            return await asyncio.Future()
        except asyncio.CancelledError:
            called_off.append(rows)
            raise

    def apart(batch: ModelInput) -> list[Bucket]:
        tokens, numbers, features = batch
        some = (np.arange(3), np.arange(3, 5))
        return [Bucket(rows, ModelInput(tokens[rows], numbers[rows], features[rows])) for rows in some]

    monkeypatch.setattr("forestay.shell.scorer.by_length", apart)
    server = StandIn({"1": short_ones_fail}, Rollout(1))
    async with scoring(server) as scorer:
        assert scorer.served is not None
        current = scorer.served.current._replace(any_length=True)
        scorer.served = scorer.served._replace(current=current)
        monkeypatch.setattr(scorer, "_identify", AsyncMock(return_value=scorer.served))
        answers = await scorer.score(questions(5))
        await asyncio.sleep(0)
        assert called_off == [2]
    assert [answer.probability for answer in answers] == [None] * 5


@pytest.mark.parametrize("shape", [(), (1,), (1, 300)])
async def test_an_embedding_of_another_shape_is_no_answer_and_no_crash(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    async def answer(rows: int) -> Outputs:
        return {
            "churn_probability": np.full((rows, 1), 0.25, np.float32),
            "user_embedding": np.zeros((rows, *shape[1:]) if shape else (), np.float32),
        }

    server = StandIn({"1": answer}, None)
    server.outputs = ["churn_probability", "user_embedding"]
    monkeypatch.setattr("forestay.shell.scorer.triton.InferenceServerClient", lambda **_: server)
    async with TritonScorer(TritonSettings(), embedding=lambda: True) as scorer:
        answers = await scorer.score(questions(3))
        assert {answer.probability for answer in answers} == {None}
        assert "user_embedding has" in str(scorer.failure)
