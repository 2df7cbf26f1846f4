"""Caps and cooldowns over any stream against a plain recount: late events, restores and evictions included."""

from collections import defaultdict
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from support.builders import MODEL, answered, apply, catalogue, click, offer, partition, restored, source
from support.oracle import KINDS

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.rules import Rules
from forestay.core.state.contact import MAX_CONTACTS
from forestay.core.units import DAY, HOUR, to_milliseconds
from forestay_schemas import Decision

START = 1_700_000_000_000
#: Every window is shorter than this by more than the last silence, as a configuration must have it.
RULES = Rules(score_interval=0, idle=250 * DAY, lateness=3 * DAY)
SORTS = [("message", "email"), ("message", "sms"), ("promotion", "email"), ("promotion", "push")]
#: A silence found after the clock stood is not to be too late.
ALIKE: dict[str, Any] = {"effect": 0.4, "expires_after_hours": 8_760}
OFFERS = [
    *(offer(f"o{n}", kind=kind, channel=channel, **ALIKE) for n, (kind, channel) in enumerate(SORTS)),
    offer("order", kind="message", channel="email", cooldown_days=1, transactional=True, **ALIKE),
    offer("rare", kind="loyalty", channel="email", cooldown_days=9, **ALIKE),
]

CAPS = st.fixed_dictionaries(
    {"max": st.integers(1, 3), "days": st.sampled_from([0.5, 2, 10, 40])},
    optional={
        "channel": st.sampled_from(["email", "sms", "push"]),
        "kind": st.sampled_from(["message", "promotion", "loyalty"]),
    },
)
SHOPS = st.fixed_dictionaries(
    {
        "cap_contacts": st.none() | st.integers(2, 5),
        "cap_days": st.sampled_from([2, 40]),
        "caps": st.lists(CAPS, max_size=4),
        "cooldown_days": st.sampled_from([0, 0, 0.25]),
        "kind_cooldown_days": st.dictionaries(st.sampled_from(["promotion", "message"]), st.sampled_from([1, 7])),
    }
)


class Step(NamedTuple):
    """An event of a user, some time after the one before, itself late or not; then the worker restarts, or not."""

    user: int
    gap: int
    late: int
    restart: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(1, 2),
        st.sampled_from([1, HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 10 * DAY, 300 * DAY]),
        st.sampled_from([0, 0, 0, HOUR, 2 * DAY]),
        st.sampled_from([False, False, False, True]),
    ),
    min_size=1,
    max_size=MAX_CONTACTS - 2,
)


def live(steps: list[Step], shop: Catalogue) -> list[Decision]:
    """Sends the events through the core, with the model always sure, and restores it from its records in between."""
    core, now = partition(RULES, shop), START
    durable, made = [], list[Decision]()
    for number, step in enumerate(steps):
        now += step.gap
        event = click(f"e{number}", f"u{step.user}", KINDS[number % 7], now - step.late, price=50)
        found = apply(core, [source({**event, "event": "purchase", "order_id": f"b{number}"}, number)]).situations
        made += core.settle(found, answered({one.decision_id: 0.9 for one in found}), MODEL).decisions
        if step.restart:
            durable += core.checkpoint(len(made), 1)
            core = restored(durable, RULES, shop)
    return made


Contact = tuple[int, Offer]


def forbidding(contacts: list[Contact], now: int, one: Offer, shop: Catalogue) -> str | None:
    """Returns the first rule that forbids one more contact, recounted from everything ever sent to the user."""
    rules = shop.guardrails

    def within(days: float) -> list[Offer]:
        return [sent for ts, sent in contacts if now - ts < days * DAY]

    if one.marketing:
        if any(sent.marketing for sent in within(rules.cooldown_days)):
            return "cooldown"
        if rules.cap_contacts and sum(sent.marketing for sent in within(rules.cap_days)) >= rules.cap_contacts:
            return "frequency_cap"
        for cap in rules.caps:
            of_channel = cap.channel is None or cap.channel == one.channel
            of_kind = cap.kind is None or cap.kind == one.kind
            met = [
                sent
                for sent in within(cap.days)
                if sent.marketing
                and (cap.channel is None or sent.channel == cap.channel)
                and (cap.kind is None or sent.kind == cap.kind)
            ]
            if of_channel and of_kind and len(met) >= cap.max:
                return "channel_cap" if cap.channel else "kind_cap" if cap.kind else "frequency_cap"
        if any(
            sent.kind == one.kind and sent.marketing for sent in within(rules.kind_cooldown_days.get(one.kind, 0))
        ):
            return "kind_cooldown"
    return "offer_cooldown" if any(sent.id == one.id for sent in within(one.cooldown_days)) else None


@given(STEPS, SHOPS)
def test_each_decision_suppresses_what_a_recount_forbids_and_nothing_else(
    steps: list[Step], guardrails: dict[str, Any]
) -> None:
    shop = catalogue(*OFFERS, policy={"exploration": 1}, **guardrails)
    contacts: dict[str, list[Contact]] = defaultdict(list)
    for decision in live(steps, shop):
        now, mine = to_milliseconds(decision.decided_at), contacts[decision.user_id]
        expected = {one.id: code for one in shop.offers if (code := forbidding(mine, now, one, shop))}
        assert {one.offer_id: one.code for one in decision.suppressed} == expected
        chosen = shop.offer(decision.offer_id)
        if chosen is not None:
            mine.append((now, chosen))


@given(STEPS, SHOPS)
def test_no_window_anywhere_holds_more_than_its_cap(steps: list[Step], guardrails: dict[str, Any]) -> None:
    """Not at the moments of decisions alone: a window may begin at any contact."""
    shop = catalogue(*OFFERS, policy={"exploration": 1}, **guardrails)
    sent: dict[str, list[Contact]] = defaultdict(list)
    for decision in live(steps, shop):
        chosen = shop.offer(decision.offer_id)
        if chosen is not None and chosen.marketing:
            sent[decision.user_id].append((to_milliseconds(decision.decided_at), chosen))
    for contacts in sent.values():
        for cap in shop.guardrails.every_cap():
            counted = [
                ts for ts, one in contacts if cap.channel in {None, one.channel} and cap.kind in {None, one.kind}
            ]
            for start in counted:
                assert sum(start <= ts < start + cap.days * DAY for ts in counted) <= cap.max
