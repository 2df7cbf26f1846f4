"""Pre-training asks about the past as serving would have asked then, and knows nothing of what came later."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.builders import START, click
from support.training_sets import made, write_events

from forestay.core.decision.model_input import ModelInput
from forestay.core.event import EVENT_CODES
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.dataset.plan import Plan
from forestay_schemas.types import EventName
from forestay_training.fitting import Recipe, take_over
from forestay_training.network import ChurnNetwork, Shape
from forestay_training.next_steps import Histories, NextSteps, buckets
from forestay_training.pretraining import pretrain
from forestay_training.scaling import FeatureScaler
from forestay_training.training_set import TrainingSet

pytestmark = pytest.mark.training

PLAN = Plan(
    cutoffs=tuple(START + day * DAY for day in (30, 60, 90, 120)),
    horizons=(14 * DAY,),
    observed=90 * DAY,
    partitions=2,
)
SMALL = Recipe(shape=Shape(width=16, heads=2), batch=64, pretraining_epochs=3)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    """Forty made-up users with orders and views of 130 days, none at the very moment of a cutoff."""
    chance = random.Random(4)
    folder = tmp_path_factory.mktemp("pretraining")
    clicks = [
        click(
            f"e{user}-{hour}",
            f"u{user}",
            chance.choice(["purchase", "view_item"]),
            START + hour * HOUR + 7 * MINUTE,
            item_id="i",
            price=chance.randrange(1, 90) / 2,
        )
        for user in range(40)
        for hour in chance.sample(range(130 * 24), 12)
    ]
    made(write_events(folder / "events.jsonl", clicks), PLAN, folder / "set")
    return TrainingSet.load(folder / "set")


@pytest.fixture(scope="module")
def histories(rows: TrainingSet) -> Histories:
    return Histories.of(rows)


def test_a_moment_of_the_past_is_asked_about_as_the_rows_of_that_time_were(
    rows: TrainingSet, histories: Histories
) -> None:
    tokens, numbers = histories.asked(histories.numbers, rows.moments)
    assert len(np.unique(rows.moments)) == len(PLAN.cutoffs)
    assert tokens.tobytes() == rows.inputs.step_tokens.tobytes()
    assert numbers.tobytes() == rows.inputs.step_numbers.tobytes()


def test_what_comes_later_changes_what_follows_and_nothing_of_what_is_asked(histories: Histories) -> None:
    users = histories.usable
    moments = histories.random_moments(users, np.random.default_rng(2))
    later = np.zeros(histories.starts.shape, dtype=np.bool_)
    later[users] = histories.starts[users] >= moments[:, None]
    assert later.any()
    tokens, numbers, features = histories.inputs
    inputs = ModelInput(tokens.copy(), numbers.copy(), features)
    inputs.step_tokens[later] = 9
    inputs.step_numbers[later] += 1
    other = replace(histories, inputs=inputs, starts=histories.starts + 5 * DAY * later)
    for before, after in zip(histories.asked(users, moments), other.asked(users, moments), strict=True):
        assert before.tobytes() == after.tobytes()
    mine, changed = histories.following(users, moments), other.following(users, moments)
    came = mine.kinds > 0
    np.testing.assert_allclose(changed.hours[came] - mine.hours[came], 5 * 24)
    np.testing.assert_allclose(changed.values[came] - mine.values[came], 1, atol=1e-5)


def test_random_moments_lie_within_what_is_known_and_after_a_first_step(histories: Histories) -> None:
    generator = np.random.default_rng(3)
    seen = set()
    for _ in range(20):
        users = histories.usable
        moments = histories.random_moments(users, generator)
        assert (histories.lengths(users, moments) > 0).all()
        following = histories.following(users, moments)
        assert (following.known >= 0).all()
        assert (following.hours >= 0).all()
        seen |= set(zip(users.tolist(), moments.tolist(), strict=True))
    assert len(seen) > 5 * len(histories.until)


def test_what_follows_is_the_next_step(histories: Histories) -> None:
    """At the end of a user's first step it is the second."""
    counts = (histories.starts > 0).sum(axis=1)
    users = np.flatnonzero(counts > 1)
    first = 64 - counts[users]
    moments = histories.starts[users, first] + HOUR // 2
    following = histories.following(users, moments)
    np.testing.assert_array_equal(following.hours, (histories.starts[users, first + 1] - moments) / HOUR)
    assert set(following.kinds.tolist()) == {
        1 + EVENT_CODES[EventName.PURCHASE],
        1 + EVENT_CODES[EventName.VIEW_ITEM],
    }
    last = np.arange(len(histories.until))
    none = histories.following(last, histories.until)
    assert np.isinf(none.hours).all()
    assert not none.kinds.any()


def test_buckets_that_are_not_known_to_their_end_do_not_count() -> None:
    edges = np.array([24.0, 48.0, 96.0])
    hours = np.array([30.0, np.inf, 30.0, 0.0, 50.0])
    known = np.array([1_000.0, 60.0, 40.0, 1_000.0, 90.0])
    nothing = np.zeros(5)
    seen, returned = buckets(NextSteps(hours, nothing.astype(np.int64), nothing.astype(np.float32), known), edges)
    assert seen.tolist() == [[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert returned.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]]


class _KilledError(Exception):
    """Stands for a SIGKILL between two epochs."""


def test_learns_and_goes_on_after_a_kill_to_the_same_bytes(rows: TrainingSet, tmp_path: Path) -> None:
    notes: list[str] = []
    whole = pretrain(rows, SMALL, 7, notes.append)
    losses = [float(note.rsplit(maxsplit=1)[1]) for note in notes]
    assert losses[-1] < losses[0]

    def killing(text: str) -> None:
        if "epoch 3" in text:
            raise _KilledError

    with pytest.raises(_KilledError):
        pretrain(rows, SMALL, 7, killing, checkpoint=tmp_path / "c.pt")
    resumed: list[str] = []
    again = pretrain(rows, SMALL, 7, resumed.append, checkpoint=tmp_path / "c.pt")
    assert resumed == notes[2:]
    assert {name: value.numpy().tobytes() for name, value in again.items()} == {
        name: value.numpy().tobytes() for name, value in whole.items()
    }


@pytest.mark.parametrize("shape", [Shape(width=16, heads=2), Shape(encoder="gru", features=False, width=16)])
def test_a_network_takes_over_what_was_learnt_and_the_scales_it_was_learnt_in(
    rows: TrainingSet, shape: Shape
) -> None:
    weights = pretrain(rows, replace(SMALL, shape=shape, pretraining_epochs=1), 7, lambda _text: None)
    few = rows.where(np.isin(rows.users, np.unique(rows.users)[:20]))
    network = ChurnNetwork(shape, FeatureScaler.fit(rows.inputs.features), few.inputs, 1)
    before = network.number_means.clone()
    take_over(network, weights)
    assert not torch.equal(before, network.number_means)
    own = network.state_dict()
    assert {"now.weight", "kind.weight", "number_means"} <= weights.keys()
    assert not [name for name, value in weights.items() if not torch.equal(own[name], value)]
    assert not network.steps_term.weight.any()
