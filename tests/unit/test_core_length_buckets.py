"""Length buckets: nothing but padding is cut off, every user is in one bucket, answers come back in their order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.decision.length_buckets import BUCKETS, REQUEST_STEPS, by_length, lengths, together, trimmed
from forestay.core.decision.model_input import NUMBER_COLUMNS, TOKEN_COLUMNS, ModelInput
from forestay.core.families.sequence import MAX_STEPS
from forestay.core.feature_set import FEATURE_COUNT


def batch_of(steps: list[int]) -> ModelInput:
    """Returns made-up users with so many steps each; every number of theirs is another."""
    tokens = np.zeros((len(steps), MAX_STEPS, len(TOKEN_COLUMNS)), dtype=np.int32)
    numbers = np.zeros((len(steps), MAX_STEPS, len(NUMBER_COLUMNS)), dtype=np.float32)
    features = np.arange(len(steps) * FEATURE_COUNT, dtype=np.float32).reshape(len(steps), FEATURE_COUNT)
    for user, count in enumerate(steps):
        own = slice(MAX_STEPS - count, MAX_STEPS)
        tokens[user, own] = 1 + np.arange(tokens[user, own].size).reshape(count, tokens.shape[2]) + 1_000 * user
        numbers[user, own] = 0.5 + np.arange(numbers[user, own].size).reshape(count, numbers.shape[2])
    return ModelInput(tokens, numbers, features)


def steps_read(batch: ModelInput) -> list[float]:
    """Returns a sum of all of each user's numbers: what a model that masks padding could say."""
    return [float(sum(array[user].sum(dtype=np.float64) for array in batch)) for user in range(len(batch.features))]


def shapes(steps: list[int]) -> list[tuple[int, ...]]:
    return [part.inputs.step_tokens.shape[:2] for part in by_length(batch_of(steps))]


def test_a_batch_is_cut_to_the_bucket_of_its_longest_user() -> None:
    for longest, steps in ((0, 8), (1, 8), (8, 8), (9, 16), (32, 32), (33, 64), (64, 64)):
        batch = batch_of([0, longest])
        cut = trimmed(batch)
        assert cut.step_tokens.shape == (2, steps, 4)
        assert cut.step_numbers.shape == (2, steps, 9)
        assert np.shares_memory(cut.step_tokens, batch.step_tokens)
        assert not batch.step_tokens[:, : MAX_STEPS - steps].any()


def test_a_step_of_nothing_but_zero_numbers_is_a_step() -> None:
    batch = batch_of([3])
    batch.step_numbers[:] = 0
    assert lengths(batch).tolist() == [3]


def test_a_few_short_users_go_along_with_the_long_and_many_go_by_themselves() -> None:
    few = REQUEST_STEPS // (16 - 8)
    assert [part.inputs.step_tokens.shape[:2] for part in by_length(batch_of([2] * few + [16]))] == [(few + 1, 16)]
    many = few + 1
    assert [part.inputs.step_tokens.shape[:2] for part in by_length(batch_of([2] * many + [16]))] == [
        (many, 8),
        (1, 16),
    ]
    # Where nobody is of the next bucket, the one after it counts.
    alone = REQUEST_STEPS // (64 - 8) + 1
    assert [part.inputs.step_tokens.shape[1] for part in by_length(batch_of([64] + [2] * alone))] == [8, 64]


@given(st.lists(st.integers(0, MAX_STEPS) | st.integers(0, 9), min_size=1, max_size=120))
def test_every_user_is_read_once_in_full_and_answers_keep_their_order(steps: list[int]) -> None:
    batch = batch_of(steps)
    parts = by_length(batch)
    assert sorted(row for part in parts for row in part.rows) == list(range(len(steps)))
    assert [part.inputs.step_tokens.shape[1] for part in parts] == sorted(
        {p.inputs.step_tokens.shape[1] for p in parts}
    )
    assert all(part.inputs.step_tokens.shape[1] in BUCKETS for part in parts)
    assert together(parts, [steps_read(part.inputs) for part in parts]) == steps_read(batch)
