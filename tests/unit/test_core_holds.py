"""Quiet hours in the life of a partition: what is chosen waits, and everything is asked anew when they end."""

from typing import Any

import pytest
from support.builders import (
    MODEL,
    START,
    Click,
    answered,
    apply,
    catalogue,
    click,
    offer,
    partition,
    restored,
    settle,
    source,
    tick,
    user,
)

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import action_of
from forestay.core.decision.deciding import Settled
from forestay.core.decision.release import chosen_then, held_of
from forestay.core.errors import StateError
from forestay.core.identity.merge import merge
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.state.state_codec import decode_user
from forestay.core.units import DAY, HOUR, MINUTE, to_datetime, to_milliseconds
from forestay_schemas import Decision, DecisionOutcome
from forestay_schemas.decision import MAX_EMBEDDING, Trial

#: 01:00 in Berlin; the night ends six hours later, at 07:00 UTC.
NIGHT = START + 6 * MINUTE
MORNING = START + 7 * HOUR
RULES = Rules(score_interval=0)
QUIET: dict[str, Any] = {"quiet_hours": {"from": "21:00", "until": "08:00"}, "timezone": "Europe/Berlin"}
FREE = {"exploration": 0}


def shop(*offers: dict[str, Any], **guardrails: Any) -> Catalogue:
    return catalogue(*(offers or (offer("mail"),)), policy=FREE, **{**QUIET, **guardrails})


def bought(number: int, ts: int, **more: Any) -> Click:
    return click(f"e{number}", event="purchase", ts=ts, price=100, order_id=f"b{number}", **more)


def at(core: Partition, ts: int, offset: int) -> Settled:
    return settle(core, [tick(ts, offset)])


def only(made: list[Decision]) -> Decision:
    (decision,) = made
    return decision


def test_what_is_chosen_at_night_goes_out_in_the_morning_as_the_same_action() -> None:
    core = partition(RULES, shop())
    night = settle(core, [source(bought(1, NIGHT))])
    held = only(night.decisions)
    assert (held.offer_id, held.timezone, held.held_until) == ("mail", "Europe/Berlin", to_datetime(MORNING))
    assert held.action_id is not None
    assert [reason.code for reason in held.reasons][-1] == "held"
    assert night.actions == []
    assert user(core).contacts == []
    assert at(core, MORNING - 1, 0).decisions == []
    morning = at(core, MORNING + MINUTE, 1)
    released = only(morning.decisions)
    assert (released.trigger.kind, released.releases) == ("release", held.decision_id)
    assert (released.decided_at, released.held_until) == (to_datetime(MORNING), None)
    (action,) = morning.actions
    assert (action.action_id, action.decision_id) == (held.action_id, held.decision_id)
    assert released.action_id == held.action_id
    assert (action.decided_at, action.reasons) == (held.decided_at, held.reasons)
    assert [contact.ts for contact in user(core).contacts] == [MORNING]
    assert user(core).held == []


def test_by_day_nothing_waits() -> None:
    settled = settle(partition(RULES, shop()), [source(bought(1, START + 10 * HOUR))])
    assert only(settled.decisions).held_until is None
    assert len(settled.actions) == 1


def test_the_users_own_zone_counts_and_one_that_is_none_is_said() -> None:
    tokyo = settle(partition(RULES, shop()), [source(bought(1, NIGHT, timezone="Asia/Tokyo"))])
    assert (only(tokyo.decisions).timezone, len(tokyo.actions)) == ("Asia/Tokyo", 1)
    mars = only(settle(partition(RULES, shop()), [source(bought(1, NIGHT, timezone="Mars/Base"))]).decisions)
    assert (mars.timezone, mars.held_until) == ("Europe/Berlin", to_datetime(MORNING))
    (said,) = [reason.text for reason in mars.reasons if reason.code == "unknown_timezone"]
    assert "'Mars/Base'" in said
    assert "Europe/Berlin" in said


def test_what_is_dropped_in_quiet_hours_says_so() -> None:
    dropping = {"quiet_hours": {"from": "21:00", "until": "08:00", "then": "drop"}}
    brief = offer("mail", expires_after_hours=6)
    for one in (shop(**dropping), shop(brief)):
        settled = settle(partition(RULES, one), [source(bought(1, NIGHT))])
        assert [cut.code for cut in only(settled.decisions).suppressed] == ["quiet_hours"]
        assert settled.actions == []


def test_what_is_transactional_does_not_wait() -> None:
    order = offer("order", transactional=True)
    assert len(settle(partition(RULES, shop(order)), [source(bought(1, NIGHT))]).actions) == 1


def test_one_action_waits_at_a_time() -> None:
    core = partition(RULES, shop(offer("mail"), offer("other")))
    made = settle(core, [source(bought(n, NIGHT + n * MINUTE), n) for n in range(3)]).decisions
    assert [one.held_until is not None for one in made] == [True, False, False]
    assert {cut.code for cut in made[1].suppressed} == {"one_waiting"}
    assert len(at(core, MORNING, 0).actions) == 1


def paused(one: Catalogue) -> Catalogue:
    return one.model_copy(update={"switches": one.switches.model_copy(update={"everything": True})})


def ended(one: Catalogue) -> Catalogue:
    gone = one.offers[0].model_validate(offer("mail", available={"until": to_datetime(MORNING).isoformat()}))
    return one.model_copy(update={"offers": [gone]})


def other(_: Catalogue) -> Catalogue:
    return shop(offer("another"))


@pytest.mark.parametrize(
    ("change", "code"), [(paused, "paused"), (ended, "no_longer_available"), (other, "no_longer_offered")]
)
def test_what_is_not_permitted_any_more_in_the_morning_is_dropped_and_says_why(change: Any, code: str) -> None:
    """The catalogue changes with a restart of the worker, between night and morning."""
    before = shop()
    core = partition(RULES, before)
    settle(core, [source(bought(1, NIGHT))])
    core = restored(core.checkpoint(1, 1), RULES, change(before))
    morning = at(core, MORNING, 0)
    dropped = only(morning.decisions)
    assert morning.actions == []
    assert [(cut.offer_id, cut.code) for cut in dropped.suppressed] == [("mail", code)]
    assert (dropped.offer_id, dropped.action_id, user(core).held) == (None, None, [])
    assert dropped.reasons[-1].text.endswith(code)


def test_consent_withdrawn_overnight_is_heeded_in_the_morning() -> None:
    core = partition(RULES, shop())
    settle(core, [source(bought(1, NIGHT))])
    settle(core, [source(click("c", event="consent_withdrawn", ts=NIGHT + HOUR, channel="email"), 1)])
    assert [cut.code for cut in only(at(core, MORNING, 0).decisions).suppressed] == ["no_consent"]


def test_what_is_transactional_goes_out_while_another_waits() -> None:
    order = offer("order", transactional=True, effect=0.1, eligibility={"countries": ["DE"]})
    core = partition(RULES, shop(offer("mail"), order))
    settle(core, [source(bought(1, NIGHT))])
    settled = settle(core, [source(bought(2, NIGHT + HOUR, country="DE"), 1)])
    assert [action.offer_id for action in settled.actions] == ["order"]
    assert [action.offer_id for action in at(core, MORNING, 0).actions] == ["mail"]


def test_found_at_night_again_it_waits_for_the_next_morning_or_is_too_late() -> None:
    """Where nobody tells the time in the morning, as after an outage."""
    core = partition(RULES, shop())
    settle(core, [source(bought(1, NIGHT))])
    again = at(core, START + 23 * HOUR, 0)
    assert (only(again.decisions).held_until, again.actions) == (to_datetime(MORNING + DAY), [])
    assert len(at(core, MORNING + DAY, 1).actions) == 1
    core = partition(RULES, shop())
    settle(core, [source(bought(1, NIGHT))])
    assert [cut.code for cut in only(at(core, START + 80 * HOUR, 0).decisions).suppressed] == ["too_late"]


def test_a_batch_ends_before_the_morning_that_it_may_have_to_wait_for() -> None:
    core = partition(RULES, shop())
    records = [source(bought(1, NIGHT)), source(bought(2, MORNING + HOUR), 1)]
    applied = core.apply("clickstream", records)
    assert (applied.taken, len(applied.situations)) == (1, 1)
    core.settle(applied.situations, answered({one.decision_id: 0.9 for one in applied.situations}), MODEL)
    rest = core.apply("clickstream", records[1:])
    assert [one.trigger.kind for one in rest.situations] == ["release", "event"]


def test_what_waits_survives_a_crash_by_the_log_of_decisions_alone() -> None:
    core = partition(RULES, shop())
    held = settle(core, [source(bought(1, NIGHT))]).decisions
    again = partition(RULES, shop())
    assert again.restore({}, None, held).actions == []
    assert [one.until for one in user(again).held] == [MORNING]
    # The event that led to it is read again, and the morning comes.
    assert apply(again, [source(bought(1, NIGHT))]).situations == []
    released = at(again, MORNING, 0)
    assert [action.action_id for action in released.actions] == [held[0].action_id]
    # Both in the log and nothing durable: the action is made again, the same bytes, and nothing waits.
    third = partition(RULES, shop())
    assert third.restore({}, None, [*held, *released.decisions]).actions == released.actions
    assert (user(third).held, len(user(third).contacts)) == ([], 1)


def test_of_two_ids_that_are_one_user_both_actions_come_up() -> None:
    core = partition(RULES, shop(caps=[{"max": 1, "days": 9}]))
    for number, name in enumerate(("u1", "u2")):
        settle(core, [source(bought(number, NIGHT) | {"user_id": name}, number)])
    mine, theirs = user(core, "u1"), user(core, "u2")
    merge(mine, theirs, "u2", RULES.patterns)
    assert [one.until for one in mine.held] == [MORNING, MORNING + 1]
    core.users.remove("u2")
    made = at(core, MORNING + MINUTE, 0)
    assert [[cut.code for cut in one.suppressed] for one in made.decisions] == [[], ["frequency_cap"]]
    assert len(made.actions) == 1


def test_what_waits_is_small_however_much_its_decision_says() -> None:
    core = partition(RULES, shop())
    held = only(settle(core, [source(bought(1, NIGHT))]).decisions)
    would = {f"arm-{n}": "mail" for n in range(50)}
    trials = tuple(Trial(experiment=f"e{n}", arm="arm-1", would=would) for n in range(100))
    more = {"experiments": trials, "suppressed": held.suppressed * 200, "embedding": (-12.34,) * MAX_EMBEDDING}
    large = held.model_copy(update=more)
    kept = held_of(large, MORNING)
    assert len(kept.decision) < 2_048
    assert action_of(chosen_then(kept), shop()) == action_of(large.model_copy(update={"held_until": None}), shop())


def test_what_waits_stands_in_the_record_and_damage_is_refused() -> None:
    core = partition(RULES, shop())
    settle(core, [source(bought(1, NIGHT))])
    record = core.users.record(user(core))
    (one,) = decode_user(record, RULES.features).held
    assert (one.until, to_milliseconds(Decision.model_validate_json(one.decision).decided_at)) == (MORNING, NIGHT)
    assert core.users.record(decode_user(record, RULES.features)) == record
    # What waits takes 2 KiB at most beside the rest, whatever the catalogue holds.
    assert len(one.decision) < 2_048
    with pytest.raises(StateError):
        decode_user(record[: len(record) // 2], RULES.features)


@pytest.mark.parametrize("goes", [True, False])
def test_what_came_of_an_action_that_waited_is_told_of_the_decision_that_chose_it(goes: bool) -> None:
    """One outcome, with the cost of what went out; none of the release, and no cost of what was dropped."""
    rules, dear = RULES._replace(reward_horizon=2 * DAY, lateness=HOUR), shop(offer("mail", cost={"fixed": 2}))
    core = partition(rules, dear)
    held = only(settle(core, [source(bought(1, NIGHT))]).decisions)
    core = restored(core.checkpoint(1, 1), rules, dear if goes else paused(dear))
    assert len(at(core, MORNING, 0).actions) == goes
    outcomes = at(core, START + 4 * DAY, 1).outcomes
    told = [DecisionOutcome.model_validate_json(one.value or b"") for one in outcomes]
    (found,) = [(one.decision_id, one.offer_id, one.fragments.cost) for one in told]
    assert found == (held.decision_id, "mail", 2.0 * goes)


def test_a_budget_is_drawn_on_when_an_action_is_chosen_and_not_again_when_it_goes_out() -> None:
    paid = offer("mail", kind="promotion", cost={"fixed": 2}, budgets=["spring"])
    core = partition(RULES, shop(paid, budgets=[{"id": "spring", "limit": 300}]))
    held = only(settle(core, [source(bought(1, NIGHT))]).decisions)
    assert [draw.amount for draw in held.budgets] == [200]
    released = at(core, MORNING, 0)
    assert (only(released.decisions).budgets, len(released.actions)) == ((), 1)
