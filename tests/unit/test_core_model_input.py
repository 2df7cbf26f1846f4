"""What the model is given: shapes, padding, tokens and numbers, each by hand."""

from math import cos, log1p, sin, tau

import numpy as np
from support.builders import START, click, lived

from forestay.core.decision.model_input import (
    HOUR_TOKENS,
    INPUT_DIGEST,
    KIND_TOKENS,
    NUMBER_COLUMNS,
    TOKEN_COLUMNS,
    ModelInput,
    model_input,
    stack,
)
from forestay.core.event import EVENT_NAMES, PURCHASE, from_contract
from forestay.core.families.sequence import CATEGORY_TOKENS, ITEM_TOKENS
from forestay.core.feature_set import DEFAULT_FEATURES, FEATURE_COUNT, FEATURES
from forestay.core.rules import Rules
from forestay.core.state.user_state import UserState, apply_event
from forestay.core.units import HOUR
from forestay_schemas import ClickEvent


def read(state: UserState, now: int) -> ModelInput:
    return model_input(state, DEFAULT_FEATURES, now)


def test_shapes_and_types_are_those_declared() -> None:
    one = read(lived(click()), START)
    shapes = [(64, len(TOKEN_COLUMNS)), (64, len(NUMBER_COLUMNS)), (FEATURE_COUNT,)]
    assert [array.shape for array in one] == shapes
    assert [array.dtype.name for array in one] == ["int32", "float32", "float32"]
    assert [array.shape[0] for array in stack([one, one, one])] == [3, 3, 3]


def test_steps_are_padded_on_the_left_newest_last() -> None:
    one = read(lived(click("a", ts=START), click("b", event="purchase", ts=START + HOUR)), START + HOUR)
    assert not one.step_tokens[:62].any()
    assert not one.step_numbers[:62].any()
    assert list(one.step_tokens[62:, 0]) == [1, PURCHASE + 1]


def test_a_steps_numbers_by_hand() -> None:
    # 2026-01-01 06:00 UTC, a Thursday; the second step at 08:30.
    first, second = START + 6 * HOUR, START + 8 * HOUR + HOUR // 2
    lines = [click(f"l{n}", event="purchase", ts=second, order_id="o", price=7.5, quantity=2) for n in range(3)]
    one = read(lived(click("a", ts=first), *lines), second + 2 * HOUR)
    day = second / (24 * HOUR)
    weekday, season = tau * 4 / 7 + tau * 8.5 / 24 / 7, tau * day / 365.25
    expected = [
        log1p(45),
        log1p(6),
        log1p(3),
        log1p(2.5),
        log1p(2),
        sin(weekday),
        cos(weekday),
        sin(season),
        cos(season),
    ]
    # The 64 bits of a double keep the angle of 20,000 days to about 1e-12; the tensors are single.
    np.testing.assert_allclose(one.step_numbers[63], expected, rtol=1e-5, atol=1e-6)
    assert one.step_tokens[63, 3] == 1 + 8
    assert one.step_numbers[62, 3] == 0


def test_tokens_stay_within_their_vocabularies() -> None:
    clicks = [
        click(
            f"e{n}", event=EVENT_NAMES[n % len(EVENT_NAMES)], ts=START + n * HOUR, item_id=f"i{n}", category=f"c{n}"
        )
        for n in range(64)
    ]
    tokens = read(lived(*clicks), START + 64 * HOUR).step_tokens
    assert (tokens.min(axis=0) >= 1).all()
    assert (tokens.max(axis=0) < [KIND_TOKENS, ITEM_TOKENS, CATEGORY_TOKENS, HOUR_TOKENS]).all()
    assert len(set(tokens[:, 1])) > 55


def test_an_input_is_a_snapshot() -> None:
    user = lived(click())
    one = read(user, START)
    copies = [array.copy() for array in one]
    later = click("b", event="purchase", ts=START + 1, price=9)
    apply_event(user, from_contract(ClickEvent.model_validate(later)), Rules().lateness)
    assert all(np.array_equal(a, b) for a, b in zip(one, copies, strict=True))


def test_a_user_without_events_has_the_defaults() -> None:
    one = read(lived(), START)
    assert list(one.features) == [feature.default for feature in FEATURES]
    assert not one.step_tokens.any()


def test_names_are_unique_and_every_feature_says_what_it_is() -> None:
    assert len({feature.name for feature in FEATURES}) == FEATURE_COUNT
    assert all(
        feature.meaning and feature.unit in ("count", "currency", "hours", "minutes", "ratio") for feature in FEATURES
    )
    assert len(INPUT_DIGEST) == 32
