"""Crashes at any record written, several a run: nothing lost, counted, decided or spent twice (design D3, D12)."""

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest
from msgspec.structs import replace
from support.builders import CLOCK_TOPIC, TOPIC, catalogue, encoded, offer
from support.crash_sources import sources
from support.fakes import Model, hashing_model
from support.simulation import DEAD_LETTERS, DECISIONS, CrashError, Life, Logs

from forestay.core.budget.account import Reservation
from forestay.core.budget.records import BudgetsMark, decode_reservation
from forestay.core.event import NEVER
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.contact import MAX_CONTACTS
from forestay.core.state.state_codec import decode_user
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, HOUR, to_milliseconds
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers
from forestay_schemas import Decision

START = 1_700_000_000_000
CAP, CAP_DAYS, COOLDOWN = 3, 20, 3
WINTER = 2_500
SHOP = catalogue(
    offer("call", effect=0.9, cost={"fixed": 2}, cooldown_days=9, budgets=["daily", "winter"]),
    offer(
        "coupon",
        kind="promotion",
        effect=0.6,
        cost={"basket_share": 0.05},
        eligibility={"triggers": ["silence"]},
        budgets=["winter"],
    ),
    offer("mail", effect=0.2, payload={"template": "t"}),
    offer("nudge", effect=0.7, cooldown_days=1, eligibility={"triggers": ["pattern"]}),
    cap_contacts=CAP,
    cap_days=CAP_DAYS,
    cooldown_days=COOLDOWN,
    holdout=0.1,
    policy={"exploration": 0.4, "margin": 1.0},
    budgets=[
        {"id": "daily", "limit": 500},
        {"id": "winter", "period": "campaign", "starts": "2023-11-10", "ends": "2024-02-28", "limit": WINTER},
    ],
)
RULES = Rules(score_max_age=2 * DAY, patterns=load_triggers(DEFAULT_TRIGGERS).rules())
SEEDS = range(40)


class Ran(NamedTuple):
    """What is durable in the end; records as they would be written anew, so that when they were plays no part."""

    logs: Logs
    users: dict[str, UserState]
    records: dict[str, bytes]
    budgets: BudgetsMark | None
    reserved: dict[str, Reservation]
    clock: int
    lives: int


def run(records: list[SourceRecord], random: Random, models: list[Model], *, crashes: int, reorder: bool) -> Ran:
    """Lives one life after another, each but the last ended by a crash; then reads back what is durable."""
    live_users = random.choice([1, 3, 1_000])
    logs, rules = Logs(), RULES._replace(score_interval=random.choice([0, HOUR]), live_users=live_users)
    for life in range(crashes + 1):
        logs.crash_in = random.randint(0, 60) if life < crashes else None
        try:
            Life(logs, rules, SHOP, random.choice(models), random).run(records, reorder=reorder and life > 0)
        except CrashError:
            continue
        break
    written, mark, beyond = logs.recover()
    ends = Counter(record.topic for record in records)
    assert mark is not None
    assert mark.positions == {topic: ends[topic] for topic in (TOPIC, CLOCK_TOPIC) if ends[topic]}
    assert (mark.decisions, beyond) == (len(logs.topics[DECISIONS]), [])
    users = {name: decode_user(record, DEFAULT_FEATURES) for name, record in written.items() if name[0] != "\0"}
    anew = {name: encoded(state, rules, watermark=mark.watermark) for name, state in users.items()}
    reserved = {name: decode_reservation(record) for name, record in written.items() if name[0] == "\0"}
    return Ran(logs, users, anew, mark.budgets, reserved, mark.clock, life + 1)


def check_events(records: list[SourceRecord], ran: Ran) -> None:
    letters = {dict(letter.headers)["forestay-offset"] for letter in ran.logs.topics[DEAD_LETTERS]}
    counted = sum(state.applied + state.duplicates for state in ran.users.values())
    assert counted + len(letters) == sum(record.topic == TOPIC for record in records)


def check_decisions(ran: Ran) -> None:
    """One content an id; acts and actions are the same set; states remember exactly what the log says."""
    decisions, actions = ran.logs.decisions(), ran.logs.actions()
    assert max(Counter(decision.decision_id for decision in decisions).values()) == 1
    acts = {decision.action_id: decision for decision in decisions if decision.action_id}
    assert acts.keys() == {action.action_id for action in actions}
    for action in actions:
        assert acts[action.action_id].decision_id == action.decision_id
        assert acts[action.action_id].offer_id == action.offer_id
    assert len({action.model_dump_json() for action in actions}) == len(acts)
    contacts = defaultdict[str, list[tuple[int, str | None]]](list)
    moments = defaultdict[str, list[int]](list)
    for decision in decisions:
        moments[decision.user_id].append(to_milliseconds(decision.decided_at))
        if decision.offer_id:
            contacts[decision.user_id].append((moments[decision.user_id][-1], decision.offer_id))
    for user, state in ran.users.items():
        assert [(contact.ts, contact.offer_id) for contact in state.contacts] == contacts[user][-MAX_CONTACTS:]
        assert all(a < b for a, b in pairwise(moments[user]))
        assert state.scored_ts == moments[user][-1]
    check_guardrails(contacts)
    check_budgets(ran, decisions)


def check_budgets(ran: Ran, decisions: list[Decision]) -> None:
    """No account holds more than its limit, and each is what the decisions took of it."""
    taken = Counter[tuple[str, str]]()
    for decision in decisions:
        taken.update({(draw.budget, draw.period): draw.amount for draw in decision.budgets})
    assert all(amount <= (WINTER if budget == "winter" else 500) for (budget, _), amount in taken.items())
    assert ran.budgets is not None
    found = Counter({(account.budget, account.period): account.spent for account in ran.budgets.accounts})
    for reservation in ran.reserved.values():
        found.update({(draw.key.budget, draw.key.period): draw.amount for draw in reservation.draws})
    assert +found == Counter({key: taken[key] for key in found if taken[key]})
    assert found["winter", "campaign"] == taken["winter", "campaign"]


def check_guardrails(contacts: dict[str, list[tuple[int, str | None]]]) -> None:
    for sent in contacts.values():
        for start, _ in sent:
            assert sum(start <= ts < start + CAP_DAYS * DAY for ts, _ in sent) <= CAP
        assert all(b - a >= COOLDOWN * DAY for (a, _), (b, _) in pairwise(sent))


def of_events(ran: Ran) -> dict[str, bytes]:
    """Everything of the records that comes from events alone."""
    found = {}
    for name, record in ran.records.items():
        state = decode_user(record, DEFAULT_FEATURES)
        state.contacts, state.score, state.patterns, state.pending = [], None, None, None
        state.seen_clock = NEVER
        # What lies outside all windows at the last decision may be left out: the moment of it is a decision's.
        state.scored_ts = ran.clock
        found[name] = encoded(state, RULES)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_change_nothing_while_the_model_answers_alike(seed: int) -> None:
    """Every durable byte of state, and every decision, is that of a life without a crash."""
    random = Random(seed)
    records, model = sources(random), hashing_model("a")
    state = random.getstate()
    crashed = run(records, random, [model], crashes=4, reorder=False)
    random.setstate(state)
    quiet = run(records, random, [model], crashes=0, reorder=False)
    check_events(records, crashed)
    check_decisions(crashed)
    assert crashed.logs.topics[DECISIONS] == quiet.logs.topics[DECISIONS]
    assert crashed.records == quiet.records
    assert crashed.reserved == quiet.reserved
    assert crashed.budgets is not None
    assert quiet.budgets is not None
    assert replace(crashed.budgets, commit=0) == replace(quiet.budgets, commit=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_lose_and_repeat_nothing_whatever_the_model_answers_then(seed: int) -> None:
    """After each restart the model may be another or down, and the topics may come interleaved anew."""
    random = Random(seed)
    records = sources(random)
    models: list[Model] = [hashing_model("a"), hashing_model("b"), lambda _: None, lambda _: float("nan")]
    ran = run(records, random, models, crashes=5, reorder=True)
    quiet = run(records, random, [hashing_model("a")], crashes=0, reorder=False)
    check_events(records, ran)
    check_decisions(ran)
    assert of_events(ran) == of_events(quiet)


def test_the_simulation_does_crash_and_repeat() -> None:
    """Guards the two tests above: lives end early, decisions beyond the mark are found, actions come again."""
    lives = repeated = cut = priced = held = 0
    for seed in SEEDS:
        random = Random(seed)
        ran = run(sources(random), random, [hashing_model("a")], crashes=4, reorder=False)
        lives += ran.lives
        actions = [action.action_id for action in ran.logs.actions()]
        repeated += len(actions) - len(set(actions))
        decisions = ran.logs.decisions()
        cut += sum(one.code == "budget_exhausted" for decision in decisions for one in decision.suppressed)
        priced += sum(draw.price > 1 for decision in decisions for draw in decision.budgets)
        held += len(ran.reserved)
    assert lives > 3 * len(SEEDS)
    assert min(repeated, cut, priced, held) > 0
