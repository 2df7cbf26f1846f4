"""What a configuration's parameters say of versions and roll-out, and who belongs to a canary's share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestay.core.errors import ConfigurationError
from forestay.shell.scoring.rollout import Rollout, facts_as_parameters, version_facts

numbers = st.integers(1, 50)
rollouts = st.builds(
    Rollout,
    current=numbers,
    before=st.lists(numbers, max_size=4).map(tuple),
    former=st.none() | numbers,
    shadow=st.none() | numbers,
    canary=st.none(),
    canary_share=st.just(0.0),
    canary_salt=st.just(""),
    revision=st.integers(0, 1_000),
)
tried = st.builds(
    lambda rollout, canary, share, salt: rollout._replace(canary=canary, canary_share=share, canary_salt=salt),
    rollouts,
    numbers,
    st.floats(0, 1),
    st.text("0123456789abcdef", max_size=12),
)


@given(rollouts | tried)
def test_parameters_say_the_whole_roll_out(rollout: Rollout) -> None:
    assert Rollout.of(rollout.parameters() | {"model_version": "x", "version.1.model_version": "y"}) == rollout


def test_a_model_of_one_version_declares_none() -> None:
    assert Rollout.of({"model_version": "x", "version.1.model_version": "y"}) is None


def test_what_is_no_roll_out_is_told() -> None:
    with pytest.raises(ConfigurationError, match="roll-out"):
        Rollout.of({"rollout.current": "newest"})


def test_each_version_says_its_own_and_the_current_one_speaks_plainly() -> None:
    one, two, twelve = {"model_version": "aa", "groups": "recency"}, {"model_version": "bb"}, {"model_version": "cc"}
    parameters = facts_as_parameters(one, 1, 1) | facts_as_parameters(two, 2, 1) | facts_as_parameters(twelve, 12, 1)
    parameters |= Rollout(1).parameters()
    assert [version_facts(parameters, number, 1) for number in (1, 2, 12)] == [one, two, twelve]
    assert parameters["model_version"] == "aa"


def test_a_canarys_users_are_the_same_ones_on_every_machine() -> None:
    """Fixed for good: a worker of another version, or a replay, must draw the same users."""
    rollout = Rollout(1, canary=2, canary_share=0.3, canary_salt="8540d4517c69")
    drawn = [number for number in range(20) if rollout.is_canary(f"u{number}")]
    assert drawn == [0, 3, 10, 11, 12]


def test_a_larger_share_keeps_its_users_and_another_salt_draws_others() -> None:
    users = [f"u{number}" for number in range(4_000)]
    rollout = Rollout(1, canary=2, canary_salt="a")
    shares = [{user for user in users if rollout._replace(canary_share=share).is_canary(user)} for share in SHARES]
    for share, chosen, more in zip(SHARES, shares, shares[1:], strict=False):
        assert chosen <= more
        assert abs(len(chosen) / len(users) - share) < 0.03
    assert not shares[0]
    assert shares[-1] == set(users)
    other = {user for user in users if rollout._replace(canary_share=0.5, canary_salt="b").is_canary(user)}
    assert 0.4 < len(other & shares[3]) / len(other) < 0.6


SHARES = [0.0, 0.05, 0.25, 0.5, 1.0]


def test_without_a_canary_nobody_is_of_it() -> None:
    assert not Rollout(1, canary_share=1.0).is_canary("u")
