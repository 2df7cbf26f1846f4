"""A partition after a restart: what was decided stays decided, what may be missing is repeated."""

from typing import Any

import pytest
from support.builders import (
    CLOCK_TOPIC,
    MODEL,
    SOURCES,
    START,
    answered,
    apply,
    catalogue,
    click,
    encoded,
    offer,
    partition,
    settle,
    source,
    states,
    tick,
    user,
)

from forestay.core.decision.deciding import Settled
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY
from forestay.core.units import DAY, HOUR
from forestay_schemas import RetentionAction, TriggerKind

SHOP = catalogue(offer("a", payload={"template": "t1"}), cooldown_days=1, policy={"exploration": 0})
BOUGHT: dict[str, Any] = {"event": "purchase", "price": 50}


def contacts(core: Partition) -> list[tuple[int, str]]:
    return [(contact.ts, contact.offer_id) for contact in user(core).contacts]


def buy(offset: int, day: float = 0, who: str = "u1", **more: Any) -> Any:
    return source(click(f"e{offset}", who, ts=START + round(day * DAY), **BOUGHT, **more), offset)


def restarted(
    core: Partition, *, keep: set[str], settled: Settled, shop: Any = SHOP
) -> tuple[Partition, list[RetentionAction]]:
    """Returns the partition after a crash in a commit (only the users in `keep`, no mark) and what it repeats."""
    records = {record.key: record.value or b"" for record in core.checkpoint(0, 1)}
    users = {name: records[name.encode()] for name in keep}
    fresh = Partition(0, SOURCES, Rules(), shop)
    return fresh, fresh.restore(users, None, settled.decisions).actions


def test_a_decision_in_the_log_is_not_made_again_and_its_action_is_repeated_byte_for_byte() -> None:
    core = partition(shop=SHOP)
    first = settle(core, [buy(0)], 0.9)
    assert len(first.actions) == len(first.decisions) == 1
    again, repeated = restarted(core, keep=set(), settled=first)
    assert settle(again, [buy(0)], 0.1) == ([], [], [])
    assert [a.model_dump_json() for a in repeated] == [a.model_dump_json() for a in first.actions]
    assert states(again) == states(core)
    assert settle(again, [buy(1, day=0.5)], 0.9).actions == []


def test_a_state_from_after_the_decision_needs_nothing_repeated() -> None:
    core = partition(shop=SHOP)
    first = settle(core, [buy(0)], 0.9)
    again, repeated = restarted(core, keep={"u1"}, settled=first)
    assert repeated == []
    assert settle(again, [buy(0)], 0.9) == ([], [], [])
    assert states(again) == states(core)


def test_a_contact_in_the_log_counts_even_if_its_cause_does_not_come_again() -> None:
    """Topics may be read in another order after a crash; the cap must hold all the same."""
    core = partition(shop=SHOP)
    settle(core, [buy(0)], None)
    before = {"u1": core.checkpoint(0, 1)[0].value or b""}
    silence = settle(core, [tick(START + 14 * DAY + 6 * HOUR, 0)], 0.9)
    assert silence.decisions[0].trigger.kind is TriggerKind.SILENCE
    again = Partition(0, SOURCES, Rules(), SHOP)
    repeated = again.restore(before, PartitionMark({"clickstream": 1}, START, 1, 1, START), silence.decisions).actions
    assert repeated == silence.actions
    # The event that the first life saw after the clock comes before it now.
    late = settle(again, [buy(1, day=14.1)], 0.9)
    assert [decision.suppressed[0].code for decision in late.decisions] == ["cooldown"]
    assert late.actions == []
    assert settle(again, [tick(START + 14 * DAY + 6 * HOUR, 0)], 0.9).decisions == []


def test_a_user_known_from_the_log_alone_is_remembered() -> None:
    core = partition(shop=SHOP)
    first = settle(core, [buy(0)], 0.9)
    again = Partition(0, SOURCES, Rules(), SHOP)
    again.restore({}, None, first.decisions)
    state = user(again)
    assert (contacts(again), state.applied) == ([(START, "a")], 0)
    assert state.score is not None
    assert (state.score.probability, state.score.ts, state.score.version) == (0.9, START, "7")
    assert [record.key for record in again.checkpoint(1, 2)] == [b"u1", MARK_KEY]


def test_an_offer_withdrawn_since_is_not_repeated_but_stays_remembered() -> None:
    core = partition(shop=SHOP)
    first = settle(core, [buy(0)], 0.9)
    again, repeated = restarted(core, keep=set(), settled=first, shop=catalogue(offer("other")))
    assert repeated == []
    assert contacts(again) == [(START, "a")]


def test_replayed_events_are_skipped_by_their_own_users_state() -> None:
    core = partition()
    settle(core, [buy(0), buy(1, who="u2"), buy(2)])
    users = {"u1": encoded(user(core))}
    again = partition()
    again.restore(users, None)
    settle(again, [buy(0), buy(1, who="u2"), buy(2), buy(3)])
    assert (user(again).applied, user(again, "u2").applied) == (3, 1)
    assert user(again).duplicates == 0


def test_a_duplicate_is_counted_moves_the_offset_and_asks_for_nothing() -> None:
    core = partition(Rules(score_interval=0))
    twice = source(click("e0", ts=START, **BOUGHT), 1)
    assert len(settle(core, [buy(0), twice]).decisions) == 1
    state = user(core)
    assert (state.applied, state.duplicates, state.offset) == (1, 1, 1)


@pytest.mark.parametrize(
    ("kind", "later", "scored"), [("purchase", HOUR, 1), ("purchase", HOUR - 1, 0), ("login", DAY, 0)]
)
def test_an_event_asks_for_a_score_if_its_kind_does_and_the_last_is_old_enough(
    kind: str, later: int, scored: int
) -> None:
    core = partition(Rules(score_on=frozenset({8}), score_interval=HOUR))
    assert len(settle(core, [buy(0)]).decisions) == 1
    assert len(settle(core, [source(click("e1", event=kind, ts=START + later), 1)]).decisions) == scored


def test_an_event_that_is_not_the_newest_asks_for_no_score() -> None:
    core = partition(Rules(score_interval=0))
    settle(core, [buy(0, day=2)])
    assert settle(core, [buy(1, day=1)]).decisions == []
    assert user(core).applied == 2


def test_the_trigger_names_the_record_and_for_a_silence_the_one_that_made_it_due() -> None:
    core = partition()
    event = settle(core, [buy(0)]).decisions[0].trigger
    assert (event.kind, event.event_id, event.topic, event.offset) == (TriggerKind.EVENT, "e0", "clickstream", 0)
    silence = settle(core, [tick(START + 30 * DAY, 5)]).decisions[0]
    trigger = silence.trigger
    assert (trigger.kind, trigger.event_id, trigger.topic, trigger.offset) == ("silence", None, CLOCK_TOPIC, 5)
    assert silence.reasons[1].text == "silent for 14 days, no rhythm known yet"


def test_an_unknown_answer_to_nobodys_question_is_ignored() -> None:
    core = partition()
    found = apply(core, [buy(0)]).situations
    settled = core.settle(found, answered({"0" * 32: 0.5}), MODEL)
    assert settled.decisions[0].churn.rung == "rule"


def test_a_silence_found_after_its_offers_have_expired_is_decided_and_not_acted_upon() -> None:
    shop = catalogue(offer("brief", expires_after_hours=48), offer("long", expires_after_hours=720, effect=0.1))
    core = partition(shop=shop)
    settle(core, [buy(0)], None)
    user(core).contacts.clear()
    late = settle(core, [tick(START + 17 * DAY, 0)], 0.9)
    assert [one.code for one in late.decisions[0].suppressed] == ["too_late"]
    assert [action.offer_id for action in late.actions] == ["long"]
