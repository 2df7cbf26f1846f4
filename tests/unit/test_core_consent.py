"""Consent: the newest word on a channel stands, however late it comes; without it nothing is sent there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import START, apply, catalogue, click, offer, partition, restored, settle, source, tick, user
from support.features import features_of

from forestay.core.decision.catalogue import Catalogue
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state.consent import MAX_CHANNEL, MAX_CHANNELS, Consent, told, word_on
from forestay.core.units import DAY, HOUR

RULES = Rules(score_interval=0, idle=200 * DAY)
#: Newest first: a moment, and whether it grants. Of two at one moment the withdrawal comes first.
WORDS = st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.integers(0, 4), st.booleans()), max_size=12)


def shop(**consent: Any) -> Catalogue:
    return catalogue(offer("mail"), offer("text", channel="sms", effect=0.4), consent=consent)


def word(number: int, kind: str, ts: int = START, channel: str | None = "email", **more: Any) -> dict[str, Any]:
    return click(f"w{number}", event=f"consent_{kind}", ts=ts, channel=channel, **more)


def suppressed(core: Partition, ts: int, offset: int = 100) -> dict[str, str]:
    """Returns what a purchase at `ts` finds suppressed."""
    event = click(f"e{offset}", event="purchase", ts=ts, price=100, order_id=f"b{offset}")
    # Silences that came due before it are decided first.
    decision = settle(core, [source(event, offset)]).decisions[-1]
    return {one.offer_id: one.code for one in decision.suppressed}


@given(WORDS, st.randoms(use_true_random=False))
def test_in_any_order_the_newest_word_stands_and_of_two_at_once_the_withdrawal(
    words: list[tuple[str, int, bool]], chance: Any
) -> None:
    consents: list[Consent] = []
    shuffled = list(words)
    chance.shuffle(shuffled)
    for channel, ts, granted in shuffled:
        consents = told(consents, Consent(channel, ts, granted))
    for channel in ("a", "b", "c"):
        newest = min(
            (-ts, granted) for name, ts, granted in [*words, ("c", -1, True)] if name in {channel, ""} or ts < 0
        )
        found = word_on(consents, channel)
        assert (found is None) == (newest == (1, True))
        assert found is None or (-found.ts, found.granted) == newest


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, {}),
        ({"required": ["email"]}, {"mail": "no_consent"}),
        ({"required": ["email", "sms"], "default": "denied"}, {"mail": "no_consent", "text": "no_consent"}),
        ({"required": ["email", "sms"], "default": "granted"}, {}),
    ],
)
def test_without_a_word_the_shops_default_stands(rules: dict[str, Any], expected: dict[str, str]) -> None:
    assert suppressed(partition(RULES, shop(**rules)), START) == expected


def test_a_word_is_heeded_from_the_next_decision_on() -> None:
    core = partition(RULES, shop(required=["email"]))
    apply(core, [source(word(1, "granted"), 0)])
    assert suppressed(core, START + 1) == {}
    apply(core, [source(word(2, "withdrawn", START + 2), 101)])
    assert suppressed(core, START + 3, 102) == {"mail": "no_consent"}
    # Also where the shop asks for no consent at all, and by one word for every channel.
    apply(core, [source(word(3, "withdrawn", START + 4, None), 103)])
    assert suppressed(core, START + 5, 104) == {"mail": "no_consent", "text": "no_consent"}
    apply(core, [source(word(4, "granted", START + 6, "sms"), 105)])
    assert suppressed(core, START + 7, 106) == {"mail": "no_consent"}


def test_a_word_that_comes_weeks_late_is_no_dead_letter_and_never_undoes_a_newer_one() -> None:
    core = partition(RULES, shop(required=["email"], default="granted"))
    assert suppressed(core, START + 40 * DAY, 0) == {}
    assert apply(core, [source(word(1, "withdrawn", START), 1, timestamp=START + 40 * DAY)]).dead_letters == []
    assert suppressed(core, START + 41 * DAY, 2) == {"mail": "no_consent"}
    apply(core, [source(word(2, "granted", START - DAY), 3, timestamp=START + 41 * DAY)])
    assert suppressed(core, START + 42 * DAY, 4) == {"mail": "no_consent"}


def test_words_are_no_events_no_feature_counts_them_and_none_asks_for_a_score() -> None:
    core, plain = partition(RULES, shop()), partition(RULES, shop())
    assert apply(core, [source(word(1, "granted"), 0)]).situations == []
    for one in (core, plain):
        suppressed(one, START + HOUR)
    now, (kept, expected) = START + HOUR, (user(core), user(plain))
    assert features_of(kept, RULES.features, now) == features_of(expected, RULES.features, now)
    assert user(core).applied == user(plain).applied == 1


def test_a_withdrawal_outlives_all_else_that_is_known_of_a_user() -> None:
    """Who has said no and comes back after years is not to be asked again."""
    core = partition(RULES, shop(default="granted"))
    suppressed(core, START, 0)
    apply(core, [source(word(1, "withdrawn", START + 1), 1)])
    settle(core, [tick(START + 300 * DAY)])
    core = restored(core.checkpoint(0, 1), RULES, shop(default="granted"))
    assert (user(core).applied, len(user(core).consents)) == (0, 1)
    assert suppressed(core, START + 301 * DAY, 2) == {"mail": "no_consent"}
    # Also where the event that shows how long they were gone is itself the first to come.
    apply(core, [source(word(2, "withdrawn", START + 302 * DAY, "sms"), 3)])
    assert suppressed(core, START + 600 * DAY, 4) == {"mail": "no_consent", "text": "no_consent"}


def test_a_grant_alone_is_forgotten_with_its_user() -> None:
    core = partition(RULES, shop(required=["email"]))
    apply(core, [source(word(1, "granted"), 0)])
    suppressed(core, START + 1, 1)
    assert suppressed(core, START + 300 * DAY, 2) == {"mail": "no_consent"}


@pytest.mark.parametrize(
    ("kind", "channel", "code"),
    [
        ("granted", None, "no_channel"),
        ("granted", "", "no_channel"),
        ("withdrawn", "x" * (MAX_CHANNEL + 1), "no_channel"),
    ],
)
def test_a_word_that_cannot_be_heeded_is_a_dead_letter(kind: str, channel: str | None, code: str) -> None:
    core = partition(RULES, shop())
    (dead,) = apply(core, [source(word(1, kind, channel=channel), 0)]).dead_letters
    assert ("forestay-error", code.encode()) in dead.headers
    assert core.users.get("u1") is None


def test_a_user_speaks_of_so_many_channels_and_no_more() -> None:
    core = partition(RULES, shop())
    words = [source(word(n, "granted", channel=f"c{n}"), n) for n in range(MAX_CHANNELS + 1)]
    (dead,) = apply(core, words).dead_letters
    assert ("forestay-error", b"too_many_channels") in dead.headers
    assert len(user(core).consents) == MAX_CHANNELS
