"""Crashes at any record written, several a run: nothing lost, nothing counted or decided twice (design D3)."""

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest
from support.builders import CLOCK_TOPIC, TOPIC, catalogue, click, offer, source, tick
from support.fakes import Model, hashing_model
from support.simulation import DEAD_LETTERS, DECISIONS, CrashError, Life, Logs

from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.state_codec import encode_user
from forestay.core.units import DAY, HOUR, to_milliseconds
from forestay.core.user_state import MAX_CONTACTS, UserState

START = 1_700_000_000_000
CAP, CAP_DAYS, COOLDOWN = 3, 20, 3
SHOP = catalogue(
    offer("call", effect=0.9, cost={"fixed": 2}, cooldown_days=9),
    offer("coupon", effect=0.6, cost={"basket_share": 0.05}, eligibility={"triggers": ["silence"]}),
    offer("mail", effect=0.2, payload={"template": "t"}),
    cap_contacts=CAP,
    cap_days=CAP_DAYS,
    cooldown_days=COOLDOWN,
    holdout=0.1,
    policy={"exploration": 0.4, "margin": 1.0},
)
SEEDS = range(40)


def sources(random: Random, count: int = 120) -> list[SourceRecord]:
    """Returns two topics in the order of one life: events on time, late, repeated or broken, and clock records."""
    now, made, sent = START, list[SourceRecord](), list[dict[str, object]]()
    ticks = 0
    for number in range(count):
        now += random.choice([0, 1, 900_000, HOUR, 6 * HOUR, DAY, 3 * DAY])
        offset = len(made) - ticks
        chance = random.random()
        if chance < 0.12:
            made.append(tick(now, ticks))
            ticks += 1
        elif chance < 0.17:
            made.append(source(b"{broken", offset))
        elif chance < 0.25 and sent:
            made.append(source(random.choice(sent), offset, timestamp=now))
        else:
            late = random.choice([0, 0, 0, 0, 1, HOUR, DAY, 10 * DAY])
            kind = random.choice(["purchase", "purchase", "view_item", "refund"])
            event = click(f"e{number}", f"u{random.randint(1, 5)}", kind, now - late, order_id=f"o{number % 17}")
            sent.append(event | {"price": random.randint(1, 90), "quantity": random.randint(1, 3)})
            made.append(source(sent[-1], offset))
    return made


class Ran(NamedTuple):
    logs: Logs
    users: dict[str, UserState]
    lives: int


def run(records: list[SourceRecord], random: Random, models: list[Model], *, crashes: int, reorder: bool) -> Ran:
    """Lives one life after another, each but the last ended by a crash; then reads back what is durable."""
    logs, rules = Logs(), Rules(score_interval=random.choice([0, HOUR]), score_max_age=2 * DAY)
    for life in range(crashes + 1):
        logs.crash_in = random.randint(0, 60) if life < crashes else None
        try:
            Life(logs, rules, SHOP, random.choice(models), random).run(records, reorder=reorder and life > 0)
        except CrashError:
            continue
        break
    users, mark, beyond = logs.recover()
    ends = Counter(record.topic for record in records)
    assert mark is not None
    assert mark.positions == {topic: ends[topic] for topic in (TOPIC, CLOCK_TOPIC) if ends[topic]}
    assert (mark.decisions, beyond) == (len(logs.topics[DECISIONS]), [])
    return Ran(logs, users, life + 1)


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


def check_guardrails(contacts: dict[str, list[tuple[int, str | None]]]) -> None:
    for sent in contacts.values():
        for start, _ in sent:
            assert sum(start <= ts < start + CAP_DAYS * DAY for ts, _ in sent) <= CAP
        assert all(b - a >= COOLDOWN * DAY for (a, _), (b, _) in pairwise(sent))


def features_of(users: dict[str, UserState]) -> dict[str, tuple[object, ...]]:
    """Everything of a state that comes from events alone."""
    names = "applied duplicates first_ts last_ts last_by_kind totals rings rhythm orders event_ids steps offset"
    return {user: tuple(getattr(state, name) for name in names.split()) for user, state in users.items()}


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
    assert {u: encode_user(s) for u, s in crashed.users.items()} == {
        u: encode_user(s) for u, s in quiet.users.items()
    }


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
    assert features_of(ran.users) == features_of(quiet.users)


def test_the_simulation_does_crash_and_repeat() -> None:
    """Guards the two tests above: lives end early, decisions beyond the mark are found, actions come again."""
    lives = repeated = 0
    for seed in SEEDS:
        random = Random(seed)
        ran = run(sources(random), random, [hashing_model("a")], crashes=4, reorder=False)
        lives += ran.lives
        actions = [action.action_id for action in ran.logs.actions()]
        repeated += len(actions) - len(set(actions))
    assert lives > 3 * len(SEEDS)
    assert repeated > 0
