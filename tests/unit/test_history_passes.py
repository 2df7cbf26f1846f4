"""Histories looked at again and again: one pass is as many, and what was said of ids is not taken back."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st
from support.builders import START, Click, click, encoded

from forestay.core.event import NEVER, from_contract
from forestay.core.rules import Rules
from forestay.core.units import DAY, MINUTE
from forestay.history.links import Links
from forestay.history.rebuild import in_order, rebuilt, rebuilt_at
from forestay.history.told import Told
from forestay_schemas import ClickEvent

RULES = Rules(idle=50 * DAY)


def life(seed: int) -> list[Click]:
    """Bursts of events with repeats, and silences after which a user is forgotten."""
    chance = random.Random(seed)
    clicks: list[Click] = []
    now = START
    for number in range(80):
        now += chance.choice([0, MINUTE, DAY, 20 * DAY, 51 * DAY])
        kind = chance.choice(["purchase", "view_item", "add_to_cart"])
        name = f"e{chance.choice([number, number // 2])}"
        clicks.append(click(name, "u1", kind, now, item_id=f"i{number % 5}", price=2, order_id=f"o{number // 4}"))
    return clicks


@given(st.integers(0, 30))
def test_a_state_grown_in_one_pass_is_the_state_rebuilt_at_each_moment(seed: int) -> None:
    clicks = life(seed)
    told = [Told("u1", one["ts"], NEVER, json.dumps(one).encode()) for one in clicks]
    moments = sorted({START - DAY, *(one["ts"] + more for one in clicks[::7] for more in (-1, 0, 5 * DAY))})
    for moment, state in zip(moments, rebuilt_at(in_order(told), RULES, moments), strict=True):
        until = [one for one in told if one.place <= moment]
        expected = rebuilt("u1", {"u1": until}, RULES, moment)
        if expected is None or state is None:
            assert state is expected
        else:
            assert encoded(state, RULES) == encoded(expected, RULES)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abcd"), st.sampled_from("abcdef")), max_size=15),
    st.integers(0, 10),
)
def test_whose_an_id_is_depends_on_what_was_said_until_then_alone(said: list[tuple[int, str, str]], at: int) -> None:
    everything, until_then = Links(), Links()
    for number, (day, user, other) in enumerate(said):
        event = click(f"e{number}", user, "login", START + day * DAY, anonymous_id=other)
        everything.add(from_contract(ClickEvent.model_validate(event)))
        if day <= at:
            until_then.add(from_contract(ClickEvent.model_validate(event)))
    assert everything.owners(START + at * DAY) == until_then.owners(START + 99 * DAY)
