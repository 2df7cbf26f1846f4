"""Each guardrail on its own: when it removes an offer, under which code, and exactly until when."""

from typing import Any

import pytest
from support.builders import START, catalogue, offer, situation

from forestay.core.decision.guardrails import in_holdout, screen
from forestay.core.decision.situation import Situation
from forestay.core.hashing import unit_interval
from forestay.core.state.contact import MAX_CONTACTS, Contact
from forestay.core.units import DAY, HOUR

RICH = {"orders_total": 5.0, "spend_total": 100.0}


def codes(
    offers: list[dict[str, Any]],
    contacts: list[Contact] | None = None,
    at: Situation | None = None,
    probability: float = 0.5,
    **guardrails: Any,
) -> dict[str, str]:
    """Returns why each offer was suppressed; those allowed are missing."""
    shop = catalogue(*offers, **guardrails)
    allowed, suppressed = screen(at or situation(RICH), contacts or [], probability, shop)
    named = [one.id for one in allowed] + [one.offer_id for one in suppressed]
    assert sorted(named) == sorted(one.id for one in shop.offers)
    return {one.offer_id: one.code for one in suppressed}


def test_with_no_rule_set_everything_is_allowed() -> None:
    assert codes([offer("a"), offer("b")], [Contact(START, "a")]) == {}


@pytest.mark.parametrize(
    ("rules", "met", "code"),
    [
        ({"triggers": ["silence"]}, {"triggers": ["event"]}, "not_for_this_trigger"),
        ({"min_probability": 0.51}, {"min_probability": 0.5}, "risk_too_low"),
        ({"min_orders": 6}, {"min_orders": 5}, "too_few_orders"),
        ({"min_spend": 100.01}, {"min_spend": 100}, "too_little_spend"),
        ({"countries": ["DE"]}, {"countries": None}, "other_country"),
    ],
)
def test_an_offer_is_only_for_those_it_is_for(rules: dict[str, Any], met: dict[str, Any], code: str) -> None:
    assert codes([offer("a", eligibility=rules), offer("b", eligibility=met)]) == {"a": code}


def test_the_country_is_the_situations() -> None:
    german = situation(RICH)._replace(country="DE")
    rules = {"countries": ["DE", "AT"]}
    assert codes([offer("a", eligibility=rules)], at=german) == {}
    assert codes([offer("a", eligibility=rules)], at=german._replace(country="FR")) == {"a": "other_country"}


@pytest.mark.parametrize(("age", "suppressed"), [(0, True), (7 * DAY - 1, True), (7 * DAY, False)])
def test_a_cooldown_ends_to_the_millisecond(age: int, suppressed: bool) -> None:
    contacts = [Contact(START - 90 * DAY, "b"), Contact(START - age, "a")]
    found = codes([offer("a"), offer("b")], contacts, cooldown_days=7)
    assert found == ({"a": "cooldown", "b": "cooldown"} if suppressed else {})


@pytest.mark.parametrize(("age", "suppressed"), [(0, True), (3 * DAY - 1, True), (3 * DAY, False)])
def test_an_offers_own_cooldown_holds_for_it_alone(age: int, suppressed: bool) -> None:
    found = codes([offer("a", cooldown_days=3), offer("b", cooldown_days=3)], [Contact(START - age, "a")])
    assert found == ({"a": "offer_cooldown"} if suppressed else {})


@pytest.mark.parametrize(("oldest", "suppressed"), [(10 * DAY - 1, True), (10 * DAY, False)])
def test_the_cap_counts_every_contact_of_a_rolling_window(oldest: int, suppressed: bool) -> None:
    contacts = [Contact(START - oldest, "x"), Contact(START - 5 * DAY, "y"), Contact(START - 1, "a")]
    assert codes([offer("a")], contacts, cap_contacts=3, cap_days=10) == (
        {"a": "frequency_cap"} if suppressed else {}
    )


@pytest.mark.parametrize(("late", "suppressed"), [(2 * HOUR - 1, False), (2 * HOUR, True)])
def test_what_would_be_expired_when_it_is_made_is_not_made(late: int, suppressed: bool) -> None:
    """After an outage, or where nobody tells the time, silences are found weeks after they were due."""
    found = codes([offer("a", expires_after_hours=2), offer("b")], at=situation(RICH)._replace(clock=START + late))
    assert found == ({"a": "too_late"} if suppressed else {})


def test_of_several_rules_the_first_in_order_is_named() -> None:
    strict = offer("a", eligibility={"min_probability": 1, "min_orders": 9})
    full: dict[str, Any] = {"cooldown_days": 1, "cap_contacts": 1, "cap_days": 1}
    assert codes([strict]) == {"a": "risk_too_low"}
    assert codes([strict], [Contact(START, "a")], **full) == {"a": "cooldown"}
    assert codes([strict], [Contact(START, "a")], **full, holdout=1) == {"a": "holdout"}


def test_a_full_memory_vouches_for_nothing_before_its_oldest_contact() -> None:
    """An offer with a long cooldown was once forgotten after 32 contacts, and made again."""
    contacts = [Contact(START - (MAX_CONTACTS - n) * DAY, f"o{n}") for n in range(MAX_CONTACTS)]
    offers = [offer("yearly", cooldown_days=365), offer("monthly", cooldown_days=MAX_CONTACTS)]
    assert codes(offers, contacts) == {"yearly": "offer_cooldown"}
    assert codes(offers, contacts[1:]) == {}


def test_the_holdout_is_a_hash_anyone_can_recompute_and_its_share_is_right() -> None:
    shop = catalogue(holdout=0.05, salt="s")
    users = [f"user-{n}" for n in range(40_000)]
    held = {user for user in users if in_holdout(user, shop)}
    assert held == {user for user in users if unit_interval("s", user) < 0.05}
    # Five standard deviations of a binomial count.
    assert abs(len(held) - 2_000) < 5 * (40_000 * 0.05 * 0.95) ** 0.5
    other = {user for user in users if in_holdout(user, catalogue(holdout=0.05, salt="t"))}
    assert len(held & other) < 200


def test_the_holdouts_ends_are_nobody_and_everybody() -> None:
    users = [f"user-{n}" for n in range(1_000)]
    assert not any(in_holdout(user, catalogue(holdout=0)) for user in users)
    assert all(in_holdout(user, catalogue(holdout=1)) for user in users)


def test_a_cap_counts_its_channel_and_its_kind_alone() -> None:
    offers = [
        offer("mail", kind="message", channel="email"),
        offer("coupon", kind="promotion", channel="email"),
        offer("text", kind="message", channel="sms"),
    ]
    contacts = [Contact(START - DAY, "mail", "email", "message"), Contact(START - 1, "text", "sms", "message")]
    assert codes(offers, contacts, caps=[{"max": 2, "days": 7}]) == dict.fromkeys(
        ["mail", "coupon", "text"], "frequency_cap"
    )
    assert codes(offers, contacts, caps=[{"max": 1, "days": 7, "channel": "email"}]) == {
        "mail": "channel_cap",
        "coupon": "channel_cap",
    }
    assert codes(offers, contacts, caps=[{"max": 2, "days": 7, "kind": "message"}]) == {
        "mail": "kind_cap",
        "text": "kind_cap",
    }
    assert codes(offers, contacts, caps=[{"max": 1, "days": 7, "kind": "message", "channel": "sms"}]) == {
        "text": "channel_cap"
    }
    assert codes(offers, contacts, kind_cooldown_days={"message": 1}) == dict.fromkeys(
        ["mail", "text"], "kind_cooldown"
    )


def test_what_was_sent_stays_what_it_was_when_its_offer_changes_or_goes() -> None:
    sms_now = [offer("a", kind="message", channel="sms")]
    as_email = Contact(START - 1, "a", "email", "message")
    of_before = Contact(START - 1, "a")
    nobody_knows = Contact(START - 1, "gone")
    cap = [{"max": 1, "days": 7, "channel": "sms"}]
    assert codes(sms_now, [as_email], caps=cap) == {}
    assert codes(sms_now, [of_before], caps=cap) == {"a": "channel_cap"}
    assert codes(sms_now, [nobody_knows], caps=cap) == {"a": "channel_cap"}


def test_what_is_transactional_passes_the_marketing_rules_and_counts_in_none() -> None:
    offers = [
        offer("mail"),
        offer("order", transactional=True),
        offer("order-2", transactional=True, cooldown_days=2),
    ]
    strict: dict[str, Any] = {"cap_contacts": 1, "cap_days": 7, "cooldown_days": 1}
    marketed = [Contact(START - 1, "mail", "email", "message")]
    assert codes(offers, marketed, **strict) == {"mail": "cooldown"}
    assert codes(offers, marketed, **strict, holdout=1) == {"mail": "holdout"}
    told = [Contact(START - 1, "order-2", "email", "message", marketing=False)]
    assert codes(offers, told, **strict) == {"order-2": "offer_cooldown"}


@pytest.mark.parametrize("rule", [{"cooldown_days": 1}, {"caps": [{"max": 5, "days": 1, "channel": "email"}]}])
def test_a_memory_full_of_what_does_not_count_vouches_for_nothing_either(rule: dict[str, Any]) -> None:
    contacts = [Contact(START - 60 + n, "order", "sms", "message", marketing=False) for n in range(MAX_CONTACTS)]
    assert set(codes([offer("mail")], contacts, **rule)) == {"mail"}
    assert codes([offer("mail")], contacts[1:], **rule) == {}
