"""Triggers' patterns in a partition: an abandoned cart is a situation of its own, wherever the worker restarts."""

import pytest
from support.builders import (
    CLOCK_TOPIC,
    MODEL,
    START,
    apply,
    catalogue,
    click,
    offer,
    partition,
    restored,
    settle,
    source,
    states,
    tick,
    user,
)

from forestay.core.decision.deciding import Settled
from forestay.core.event import EVENT_CODES
from forestay.core.partition import Partition
from forestay.core.patterns.pattern_trigger import PatternRule
from forestay.core.patterns.patterns import PatternRules
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR, MINUTE
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers
from forestay_schemas import Decision, TriggerKind

#: Only purchases are scored as events, so that what follows is the patterns' and the silences' own.
RULES = Rules(score_on=frozenset({EVENT_CODES["purchase"]}), patterns=load_triggers(DEFAULT_TRIGGERS).rules())
SHOP = catalogue(offer("cart", eligibility={"triggers": ["pattern"]}), policy={"exploration": 0})


def adds(offset: int = 0, ts: int = START) -> SourceRecord:
    return source(click(f"e{offset}", event="add_to_cart", ts=ts, item_id="i", price=100), offset)


def happened(settled: Settled) -> list[tuple[str, str | None, int]]:
    """Kind, name and minute of each decision."""
    return [
        (d.trigger.kind.value, d.trigger.name, round(d.decided_at.timestamp() * 1_000 - START) // MINUTE)
        for d in settled.decisions
    ]


def test_an_abandoned_cart_is_a_situation_with_its_triggers_name() -> None:
    core = partition(RULES, SHOP)
    assert happened(settle(core, [adds()])) == []
    assert happened(settle(core, [tick(START + HOUR - 1, 0)])) == []
    settled = settle(core, [tick(START + HOUR + MINUTE, 1)])
    assert happened(settled) == [("pattern", "abandoned_cart", 60)]
    trigger = settled.decisions[0].trigger
    assert (trigger.event_id, trigger.topic, trigger.offset) == (None, CLOCK_TOPIC, 1)
    assert [(reason.code, reason.text) for reason in settled.decisions[0].reasons][1] == (
        "pattern",
        "the trigger abandoned_cart came due",
    )
    assert happened(settle(core, [tick(START + DAY, 2)])) == []


def test_offers_can_be_for_patterns_alone() -> None:
    core = partition(RULES, SHOP)
    bought = source(click("e0", event="purchase", ts=START, price=100), 0)
    assert [one.code for one in settle(core, [bought]).decisions[0].suppressed] == ["not_for_this_trigger"]
    settle(core, [adds(1, START + DAY)])
    assert [action.offer_id for action in settle(core, [tick(START + DAY + HOUR)]).actions] == ["cart"]


@pytest.mark.parametrize("kind", ["purchase", "begin_checkout"])
def test_what_a_trigger_waits_for_cancels_it_even_if_it_comes_late(kind: str) -> None:
    core = partition(RULES, SHOP)
    settle(core, [adds()])
    # Another user's event is an hour ahead, a millisecond before the cart is due.
    settle(core, [source(click("x", "u2", "login", START + HOUR - 1), 1)])
    settle(core, [source(click("e2", event=kind, ts=START + MINUTE), 2)])
    found = happened(settle(core, [tick(START + 20 * MINUTE + HOUR)]))
    assert "abandoned_cart" not in [name for _, name, _ in found]


def test_an_event_moves_the_clock_past_what_is_due_and_is_applied_after_it() -> None:
    core = partition(RULES, SHOP)
    settle(core, [adds()])
    settled = settle(core, [source(click("e1", event="purchase", ts=START + 2 * HOUR, price=9), 1)])
    assert happened(settled) == [("pattern", "abandoned_cart", 60), ("event", None, 120)]


STREAM = [
    adds(0),
    source(click("v1", "u2", "view_item", START + MINUTE, item_id="j"), 1),
    source(click("v2", "u2", "view_item", START + 2 * MINUTE, item_id="j"), 2),
    source(click("v3", "u2", "view_item", START + 3 * MINUTE, item_id="j"), 3),
    source(click("c", "u3", "begin_checkout", START + 4 * MINUTE), 4),
    source(click("p", "u3", "purchase", START + 5 * MINUTE, price=3), 5),
    tick(START + HOUR, 0),
    source(click("a", "u4", "add_to_cart", START + 3 * HOUR), 6),
    tick(START + 5 * HOUR, 1),
    tick(START + 2 * DAY, 2),
]


def test_patterns_speak_once_and_alike_wherever_the_worker_restarts() -> None:
    def lived(records: list[SourceRecord], core: Partition) -> list[tuple[str, str | None, int]]:
        return [one for record in records for one in happened(settle(core, [record]))]

    whole = partition(RULES, SHOP)
    expected = lived(STREAM, whole)
    assert [name for kind, name, _ in expected if kind == "pattern"] == [
        *("abandoned_cart", "abandoned_cart", "viewed_not_bought"),
    ]
    for at in range(len(STREAM) + 1):
        before = partition(RULES, SHOP)
        first = lived(STREAM[:at], before)
        again = restored(before.checkpoint(0, 1), RULES, SHOP)
        assert first + lived(STREAM[at:], again) == expected, at
        assert states(again, RULES) == states(whole, RULES), at


def test_a_pattern_decided_but_not_durable_is_not_decided_again() -> None:
    """A crash after the decision was written and before the state was."""
    core = partition(RULES, SHOP)
    settle(core, [source(click("p", event="purchase", ts=START - DAY, price=100), 0), adds(1)])
    durable = core.checkpoint(0, 1)
    settled = settle(core, [tick(START + HOUR)])
    assert len(settled.actions) == 1
    again = restored(durable[:1], RULES, SHOP)
    again = partition(RULES, SHOP)
    repeated = again.restore({"u1": durable[0].value or b""}, None, settled.decisions).actions
    assert repeated == settled.actions
    assert settle(again, [tick(START + HOUR)]).decisions == []
    assert user(again).contacts[0].offer_id == "cart"
    assert states(again, RULES) == states(core, RULES)


def test_without_triggers_nobody_remembers_patterns() -> None:
    core = partition()
    apply(core, [adds()])
    assert user(core).patterns is None
    found = apply(core, [tick(START + 20 * DAY)]).situations
    assert {one.trigger.kind for one in found} == {TriggerKind.SILENCE}
    assert core.settle(found, {}, MODEL).decisions[0].churn.rung == "rule"


def twins(after: int = HOUR) -> Rules:
    def rule(name: str, key: int) -> PatternRule:
        return PatternRule(name, key, count=1, within=0, by_item=False, after=after, again_after=DAY)

    adding = [EVENT_CODES["add_to_cart"]]
    return RULES._replace(patterns=PatternRules([(rule("a_cart", 1), adding, []), (rule("b_cart", 2), adding, [])]))


def test_triggers_due_at_one_moment_make_one_decision_that_names_both() -> None:
    core = partition(twins(), SHOP)
    settle(core, [adds()])
    assert happened(settle(core, [tick(START + HOUR)])) == [("pattern", "a_cart+b_cart", 60)]


def test_a_pattern_due_with_a_silence_is_not_lost_for_it() -> None:
    core = partition(twins(14 * DAY), SHOP)
    settle(core, [adds()])
    assert happened(settle(core, [tick(START + 14 * DAY)])) == [("pattern", "a_cart+b_cart", 14 * DAY // MINUTE)]


def test_a_time_that_wakes_many_is_told_in_portions_and_decides_the_same() -> None:
    """After an outage thousands are silent at once: what they ask for is settled and made durable bit by bit."""
    users = [source(click(f"e{n}", f"u{n}", "login", START + n), n, key=b"u%d" % n) for n in range(50)]
    whole, cut = partition(RULES, SHOP), partition(RULES, SHOP)
    apply(whole, users)
    apply(cut, users)
    late = tick(START + 300 * DAY)
    at_once = settle(whole, [late], None).decisions
    portions: list[list[Decision]] = []
    while True:
        applied = cut.apply(CLOCK_TOPIC, [late], most_woken=7)
        portions.append(cut.settle(applied.situations, {}, MODEL).decisions)
        cut.checkpoint(0, 0)
        if applied.taken:
            break
    assert [decision for portion in portions for decision in portion] == at_once
    assert max(map(len, portions)) <= 7
    assert states(cut) == states(whole)
    assert cut.positions == whole.positions


@pytest.mark.parametrize("restarts", [False, True])
def test_what_a_late_event_makes_due_in_the_past_comes_with_the_next_record_whether_or_not_it_restarts(
    restarts: bool,
) -> None:
    core = partition(RULES, SHOP)
    later = START + 3 * DAY

    def late(number: int, event: str, ts: int, user_id: str = "u1", **more: object) -> SourceRecord:
        return source(click(f"e{number}", user_id, event, ts, **more), number, timestamp=later)

    assert happened(settle(core, [late(0, "page_view", START + 2 * DAY, "other")])) == []
    # Its cart was abandoned a day ago.
    assert happened(settle(core, [late(1, "add_to_cart", START + DAY, item_id="i", price=5)])) == []
    if restarts:
        core = restored(core.checkpoint(0, 1), RULES, SHOP)
    assert happened(settle(core, [late(2, "page_view", START + 2 * DAY, "other")])) == [
        ("pattern", "abandoned_cart", 25 * 60)
    ]
