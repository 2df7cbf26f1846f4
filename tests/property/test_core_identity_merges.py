"""Ids that turn out to be one user, over partitions that die at any record: all is counted once, in any order."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.builders import START, TOPIC, Click, catalogue, click, offer
from support.fakes import hashing_model
from support.identity_world import Place, World
from support.oracle import counting, differing, features

from forestay.core.event import from_contract
from forestay.core.hashing import hash64
from forestay.core.packing import RecordWriter
from forestay.core.rules import Rules
from forestay.core.state.user_state import UserState, count_event, count_order
from forestay.core.units import DAY, HOUR, MINUTE, to_milliseconds
from forestay_schemas import ClickEvent

SHOP = catalogue(offer("call", cooldown_days=2), offer("mail"), cap_contacts=6, cap_days=30, cooldown_days=1)
PARTITIONS: Final = 3
#: At most 30 events: no user is idle for two years, however they are spread.
STEPS = st.sampled_from([0, 1, MINUTE, HOUR, HOUR, DAY, 4 * DAY, 20 * DAY])
KINDS = st.sampled_from(
    ["view_item", "add_to_cart", "remove_from_cart", "purchase", "purchase", "purchase", "refund"]
)
#: How early an event is for its place in the log; beyond three days it may be too late.
BEHIND = st.sampled_from([0, 0, 0, 0, MINUTE, DAY, 2 * DAY, 5 * DAY])


class History(NamedTuple):
    """Events in the order of arrival, in which partition each id is, and what chance does."""

    clicks: list[Click]
    placed: dict[str, int]
    seed: int
    crashes: int


@st.composite
def histories(draw: st.DrawFn, users: Sequence[str], others: Mapping[str, Sequence[str]]) -> History:
    """`others` says which other ids an event of each id may name."""
    now, clicks = START, list[Click]()
    for number in range(draw(st.integers(2, 30))):
        now += draw(STEPS)
        user = draw(st.sampled_from(users))
        if clicks and draw(st.integers(0, 7)) == 0:
            # Sent again, under the same id or under another: then it counts for both.
            again = draw(st.sampled_from(clicks))
            clicks.append(draw(st.sampled_from([again, click(again["event_id"], user, again["event"], again["ts"])])))
            continue
        more: Click = {}
        if others.get(user) and draw(st.integers(0, 2)) == 0:
            more["anonymous_id"] = draw(st.sampled_from(others[user]))
        if draw(st.booleans()):
            more |= {"item_id": f"i{draw(st.integers(0, 3))}", "price": draw(st.integers(0, 90)), "category": "c"}
            more |= {"order_id": f"o{draw(st.integers(0, 2))}", "quantity": draw(st.integers(1, 3))}
        if draw(st.integers(0, 4)) == 0:
            more |= {"country": draw(st.sampled_from(["DE", "FR"])), "timezone": "Europe/Berlin"}
        ts = max(now - draw(BEHIND), 0)
        clicks.append(click(f"e{number}", user, draw(KINDS), ts, **more))
    placed = {user: draw(st.integers(0, PARTITIONS - 1)) for user in users}
    return History(clicks, placed, draw(st.integers(0, 2**32)), draw(st.integers(0, 8)))


def told(history: History) -> World:
    """Returns the world at rest after it has lived through the history, and been updated twice."""
    random = Random(history.seed)
    rules = Rules(score_interval=random.choice([1, HOUR]), live_users=random.choice([1, 1_000]))
    world = World(history.placed, rules, SHOP, hashing_model("a"), random)
    cut = random.randint(0, len(history.clicks))
    world.send(history.clicks[:cut])
    world.run(history.crashes // 2, orderly=random.random() < 0.5)
    world.send(history.clicks[cut:])
    world.run(history.crashes - history.crashes // 2, orderly=True)
    world.run(0, orderly=True)
    return world


def accepted(history: History, lateness: int) -> dict[str, list[Click]]:
    """The events that count under each id, in the order of arrival: none too late in its partition, none twice."""
    counted: dict[str, list[Click]] = defaultdict(list)
    newest: dict[int, int] = defaultdict(lambda: -1)
    for event in history.clicks:
        user, number = event["user_id"], history.placed[event["user_id"]]
        oldest = newest[number] - lateness
        newest[number] = max(newest[number], event["ts"])
        known = {one["event_id"] for one in counted[user]}
        if event["ts"] >= oldest and event["event_id"] not in known:
            counted[user].append(event)
    return counted


def single(events: Mapping[str, Sequence[Click]], rules: Rules) -> UserState:
    """The state of one id with all these events, by time; an order counts once within each id it came with."""
    state = UserState(rules.features.new_parts())
    every = [(event["ts"], id_, event) for id_, own in events.items() for event in own]
    for _, id_, one in sorted(every, key=lambda pair: pair[0]):
        event = from_contract(ClickEvent.model_validate(one))
        order = event.order
        if order:
            event.order = hash64(f"{order} of {id_}")
            count_order(state, event, rules.lateness)
            event.order = order
        count_event(state, event)
    return state


def check(history: History, world: World) -> dict[str, str]:
    """Asserts that every id is itself or wholly another's, and that all events are where they belong.

    Returns whose each id is.
    """
    rules, states = world.rules, world.states()
    for number in world.numbers:
        users, mark, beyond = world.recover(number)
        assert beyond == []
        assert users == {} or mark is not None
        ends = {topic: len(world.logs[Place(topic, number)]) for topic in (TOPIC, "forestay-identity")}
        assert mark is None or mark.positions == {topic: end for topic, end in ends.items() if end}
    counted = accepted(history, rules.lateness)
    owners = {name: check_left(name, state) or name for name, state in states.items()}
    assert all(owners[owner] == owner for owner in owners.values()), owners
    for owner in set(owners.values()):
        own = {name: counted[name] for name in owners if owners[name] == owner}
        check_state(owner, states[owner], own, rules)
        check_contacts(states[owner], own, world)
    letters = {
        (number, *(value for key, value in letter.headers if key in {"forestay-topic", "forestay-offset"}))
        for number in world.numbers
        for letter in world.logs[Place("dead_letters", number)]
    }
    met = sum(state.applied + state.duplicates for state in states.values())
    assert met + len(letters) == len(history.clicks)
    return owners


def check_left(name: str, state: UserState) -> str:
    """Asserts that of an id which has left nothing but its forwarding is left; returns where it went."""
    identity = state.identity
    if identity is None or not identity.merged_into:
        return ""
    assert identity.moved, name
    assert not identity.is_user()
    assert (state.applied, state.contacts, state.score, state.patterns) == (0, [], None, None)
    for part in state.parts:
        writer = RecordWriter()
        part.write(writer, state.last_ts, state.last_ts)
        assert not writer.written()
    return identity.merged_into


def check_state(owner: str, state: UserState, events: Mapping[str, Sequence[Click]], rules: Rules) -> None:
    expected = single(events, rules)
    assert (state.applied, state.last_ts) == (expected.applied, expected.last_ts), owner
    assert (state.country, state.timezone) == (expected.country, expected.timezone)
    now = max(state.last_ts, state.scored_ts)
    for moment in (now, now + HOUR, now + 6 * DAY, now + 100 * DAY):
        found = rules.features.vector(state.parts, moment, state.last_ts)
        wanted = rules.features.vector(expected.parts, moment, expected.last_ts)
        assert np.array_equal(found, wanted), _differing(found, wanted, rules)
    if sum(len(own) for own in events.values()) and not _shares_orders(events):
        every = [event | {"event_id": f"{id_} {event['event_id']}"} for id_, own in events.items() for event in own]
        vector = rules.features.vector(state.parts, now, state.last_ts)
        assert differing(vector, features(counting(every), now)) == []


def _differing(found: np.ndarray, wanted: np.ndarray, rules: Rules) -> list[str]:
    return [f"{rules.features.names[at]}: {found[at]}, not {wanted[at]}" for at in np.flatnonzero(found != wanted)]


def _shares_orders(events: Mapping[str, Sequence[Click]]) -> bool:
    """Says whether two ids name an order of theirs alike: the oracle takes it for one."""
    orders = [{event["order_id"] for event in own if "order_id" in event} for own in events.values()]
    return len(set().union(*orders)) < sum(map(len, orders))


def check_contacts(state: UserState, events: Mapping[str, object], world: World) -> None:
    """Asserts that the owner remembers what was sent to any of its ids, once, and that the log has it."""
    sent = {
        decision.decision_id: (to_milliseconds(decision.decided_at), decision.offer_id)
        for number in world.numbers
        for decision in world.decisions(number)
        if decision.user_id in events and decision.offer_id
    }
    assert sorted((contact.ts, contact.offer_id) for contact in state.contacts) == sorted(sent.values())[-32:]
    assert [contact.ts for contact in state.contacts] == sorted(contact.ts for contact in state.contacts)


@given(histories("uabc", {"u": "abc"}))
def test_all_ids_that_a_user_names_become_the_user(history: History) -> None:
    world = told(history)
    owners = check(history, world)
    named = {event.get("anonymous_id") for event in accepted(history, world.rules.lateness)["u"]} - {None}
    assert {other for other, owner in owners.items() if owner != other} == named
    assert all(owners[other] == "u" for other in named)


@given(histories("uvab", {"u": "ab", "v": "ab"}))
def test_a_device_of_two_users_is_merged_with_one_of_them(history: History) -> None:
    world = told(history)
    owners = check(history, world)
    counted = accepted(history, world.rules.lateness)
    named = {event["anonymous_id"] for user in "uv" for event in counted[user] if "anonymous_id" in event}
    assert {other for other, owner in owners.items() if owner != other} == named


@given(histories("uvab", {"u": "uvab", "v": "uvab", "a": "uvab", "b": "uvab"}))
def test_whoever_names_whom_there_are_no_chains_and_nothing_is_lost(history: History) -> None:
    check(history, told(history))


def test_the_worlds_do_crash_and_repeat() -> None:
    """Guards the tests above: lives end early, states are moved again and taken once, contacts move along."""
    crashes = moves = contacts = 0
    for seed in range(40):
        clicks = [click(f"e{n}", "ua"[n % 2], "purchase", START + n * 6 * HOUR, price=30) for n in range(24)]
        clicks[16]["anonymous_id"] = "a"
        history = History(clicks, {"u": 0, "a": 1}, seed, 8)
        world = told(history)
        assert check(history, world) == {"u": "u", "a": "u"}
        crashes += world.crashes
        moves += world.repeated_moves
        contacts += sum(decision.user_id == "a" and decision.offer_id is not None for decision in world.decisions(1))
    assert crashes == 40 * 8
    assert moves > 20
    assert contacts > 20
