"""Merging ids, step by step: who asks when, what moves, what is refused, and what a crash may lose or repeat."""

import json
from typing import Any

import msgspec
import pytest
from support.builders import START, TOPIC, Click, catalogue, click, feature, offer
from support.identity_node import Node, read

from forestay.core.applied import Applied
from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, Event
from forestay.core.feature_stream import FeatureStream
from forestay.core.identity.identity_record import Ask, Forward, Move, encode_identity, forwarded
from forestay.core.patterns.pattern_trigger import PatternRule
from forestay.core.patterns.patterns import PatternRules
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.state.contact import MAX_CONTACTS, Contact
from forestay.core.state.identity import MAX_LINKS
from forestay.core.units import DAY, HOUR
from forestay_schemas import TriggerKind

ASK = encode_identity(Ask("a", "u"))
BOUGHT: dict[str, Any] = {"event": "purchase", "price": 50}
FREE = {"exploration": 0}


def event(number: int, user: str, hours: float = 0, **more: Any) -> Click:
    return click(f"e{number}", user, ts=START + round(hours * HOUR), **more)


def codes(applied: Applied) -> list[bytes | None]:
    return [dict(letter.headers)["forestay-error"] for letter in applied.dead_letters]


def moved(*clicks: Click, user: str = "u") -> OutputRecord:
    """Returns the move of the id that did `clicks` to `user`."""
    node = Node()
    node.click(*clicks)
    node.give(encode_identity(Ask(clicks[0]["user_id"], user)))
    (move,) = node.commit()
    return move


def passed(number: int, offset: int, other: str = "a", user: str = "u", **more: Any) -> OutputRecord:
    """Returns the forward of an event of `other`."""
    parts: dict[str, Any] = {"kind": EVENT_NAMES.index("page_view"), "ts": START, "items": []} | more
    return encode_identity(Forward(other, user, offset, forwarded(Event(f"e{number}".encode(), other, **parts))))


# -- asking ----------------------------------------------------------------------------------------------


def test_a_user_asks_once_its_state_is_durable() -> None:
    node = Node()
    applied = node.click(event(1, "u", anonymous_id="a"), event(2, "u", anonymous_id="a"))
    assert applied.identity == []
    assert read(node.commit()) == [Ask("a", "u")]
    node.click(event(3, "u", anonymous_id="a"))
    assert node.commit() == []


@pytest.mark.parametrize("users", [[], ["u"], None])
def test_an_ask_not_yet_written_survives_a_crash(users: list[str] | None) -> None:
    """Whether nothing of the commit was durable, or the user alone, or all of it but the ask."""
    node = Node()
    node.click(event(1, "u", anonymous_id="a"))
    node.commit(users)
    repeated = read(node.restart().identity)
    node.reread(TOPIC)
    assert repeated + read(node.commit()) == [Ask("a", "u")]


def test_who_was_answered_is_not_asked_again_after_a_restart() -> None:
    node = Node()
    node.click(event(1, "u", anonymous_id="a"))
    node.commit()
    node.give(moved(event(2, "a")))
    node.commit()
    assert node.restart().identity == []


def test_an_id_that_is_its_own_or_a_shop_that_merges_none_asks_nobody() -> None:
    node = Node()
    node.click(event(1, "u", anonymous_id="u"))
    assert (node.commit(), node.user("u").identity) == ([], None)
    node = Node(Rules(merge_identities=False))
    node.click(event(1, "u", anonymous_id="a"))
    assert node.commit() == []


def test_who_asks_first_after_a_crash_does_not_make_a_chain() -> None:
    """A user's ask is out only when it is sure that the user is one, whatever is read first after a crash."""
    node = Node()
    node.click(event(1, "u", anonymous_id="a"))
    node.commit(["u"])
    node.restart()
    node.give(encode_identity(Ask("u", "x")))
    node.reread(TOPIC)
    assert not node.identity("u").merged_into
    node = Node()
    assert node.click(event(1, "u", anonymous_id="a")).identity == []
    node.restart()
    node.give(encode_identity(Ask("u", "x")))
    # What it asks as one who leaves, it asks for the user it goes to.
    assert read(node.reread(TOPIC).identity) == [Ask("a", "x")]


# -- leaving ---------------------------------------------------------------------------------------------


def test_a_state_moves_as_the_bytes_that_are_durable_and_leaves_its_forwarding() -> None:
    node = Node()
    node.click(event(1, "a"), event(1, "a"))
    node.give(ASK)
    node.click(event(2, "a", 1))
    (move,) = read(node.commit())
    assert move == Move("a", "u", 2, node.durable[b"a"])
    left = node.user("a")
    assert (node.identity("a").merged_into, left.applied, left.duplicates, left.offset) == ("u", 0, 0, 2)


def test_an_event_between_checkpoint_and_move_goes_behind_the_move() -> None:
    node = Node()
    node.click(event(1, "a"))
    node.give(ASK)
    node.core.checkpoint(0, 1)
    assert node.click(event(2, "a")).identity == []
    move, forward = read(node.core.durable())
    assert isinstance(move, Move)
    assert (forward.offset, forward.event.event_id) == (1, "e2")
    assert [record.offset for record in read(node.click(event(3, "a")).identity)] == [2]


def test_after_a_crash_the_same_bytes_move_again_and_later_events_are_forwarded() -> None:
    node = Node()
    node.click(event(1, "a"))
    node.give(ASK)
    moves = node.commit()
    node.click(event(2, "a"))
    assert node.restart().identity == moves
    assert [record.offset for record in read(node.reread(TOPIC).identity)] == [1]
    node.commit()
    assert node.restart().identity == []


def test_of_a_commit_that_broke_off_the_state_moves_and_nothing_is_counted_twice() -> None:
    node = Node()
    node.click(event(1, "a"))
    node.give(ASK)
    node.commit(["a"])
    (move,) = read(node.restart().identity)
    assert move.offset == 0
    node.click()
    assert node.reread(TOPIC).identity == []
    node.give(ASK)
    assert node.commit() == []


def test_a_decision_found_in_the_log_after_the_state_left_leaves_no_trace() -> None:
    node = Node(Rules(), catalogue(offer(), policy=FREE))
    node.settle(node.click(event(1, "a", **BOUGHT)))
    assert node.decisions[0].offer_id
    node.give(ASK)
    node.commit(["a"])
    node.restart()
    node.commit(["a"])
    node.restart()
    assert node.user("a").contacts == []


def test_an_id_without_events_leaves_and_its_later_events_follow() -> None:
    node = Node()
    node.click(event(1, "z", 5))
    node.give(ASK)
    (move,) = read(node.commit())
    assert move.offset == -1
    taken = Node()
    taken.give(encode_identity(move))
    assert (taken.user("u").last_ts, taken.user("u").applied) == (-1, 0)
    (forward,) = node.click(event(2, "a", 6)).identity
    taken.give(forward)
    assert taken.user("u").applied == 1


def test_the_first_user_to_ask_has_the_device() -> None:
    node = Node()
    node.click(event(1, "a"))
    node.give(ASK, encode_identity(Ask("a", "v")), ASK)
    assert [record.user for record in read(node.commit())] == ["u"]
    node.give(encode_identity(Ask("a", "w")))
    assert node.commit() == []


def test_an_id_that_others_were_merged_into_is_a_user_and_stays() -> None:
    node = Node()
    node.click(event(1, "u", anonymous_id="a"))
    node.give(encode_identity(Ask("u", "x")))
    assert read(node.commit()) == [Ask("a", "u")]
    other = Node()
    other.give(moved(event(1, "a")), encode_identity(Ask("u", "x")))
    assert other.commit() == []


def test_both_ids_may_be_in_one_partition() -> None:
    node = Node()
    node.click(event(1, "a"), event(2, "u", anonymous_id="a"))
    for _ in range(3):
        node.give(*node.commit())
    node.give(*node.click(event(3, "a")).identity)
    assert (node.user("u").applied, node.user("a").applied) == (3, 0)


def test_a_decision_in_flight_for_an_id_that_leaves_goes_with_it() -> None:
    node = Node(Rules(), catalogue(offer(), policy=FREE))
    situations = node.click(event(1, "a", **BOUGHT))
    node.give(ASK)
    node.settle(situations)
    (move,) = node.commit()
    taken = Node()
    taken.give(move)
    assert [contact.ts for contact in taken.user("u").contacts] == [START]
    assert node.settle(node.click(event(2, "a", 50))).decisions == []


def test_an_id_evicted_before_it_is_asked_for_has_nothing_to_move() -> None:
    node = Node(Rules(idle=10 * DAY))
    node.click(event(1, "a"), event(2, "z", 24 * 30))
    node.give(ASK)
    (move,) = node.commit()
    taken = Node()
    taken.give(move)
    assert taken.user("u").applied == 0


def test_an_id_that_is_leaving_is_not_evicted_and_one_that_has_left_is() -> None:
    node = Node(Rules(idle=10 * DAY, lateness=DAY))
    node.click(event(1, "a"))
    node.give(ASK)
    node.click(event(2, "z", 24 * 30))
    node.click(event(3, "a", 24 * 30))
    (move,) = read(node.commit())
    assert move.offset == 2
    assert "a" in node.core.users.ids()
    node.click(event(4, "z", 24 * 45))
    assert "a" not in node.core.users.ids()
    node.commit()
    assert b"a" not in node.durable


# -- after leaving ---------------------------------------------------------------------------------------


def test_what_was_sent_twice_or_too_late_is_told_where_the_event_came() -> None:
    node = Node()
    node.click(event(1, "a", 100))
    node.give(ASK)
    node.commit()
    twice = node.click(event(1, "a", 100))
    assert (twice.identity, node.user("a").duplicates) == ([], 1)
    late = node.click(event(2, "a", 100 - 73))
    assert (late.identity, codes(late)) == ([], [b"too_late"])
    assert len(node.click(event(3, "a", 30)).identity) == 1
    assert node.click(event(3, "a", 30)).identity == []


def test_an_order_counts_once_within_each_id_whenever_its_lines_came() -> None:
    line: dict[str, Any] = {"event": "purchase", "order_id": "o", "price": 5}
    other = Node()
    other.click(event(1, "a", 1, **line))
    other.give(ASK)
    records = other.commit()
    records += other.click(event(2, "a", 2, **line), event(3, "a", 0, **line)).identity
    for early in (True, False):
        node = Node()
        own = event(4, "u", 1, **line)
        if early:
            node.click(own)
        node.give(*records)
        if not early:
            node.click(own)
        assert feature(node.user("u"), "orders_total") == 2
        assert feature(node.user("u"), "purchase_count_1d", START + DAY - 1) == 2
        assert feature(node.user("u"), "spend_total") == 20


def test_an_event_of_two_ids_counts_for_both_in_any_order() -> None:
    for early in (True, False):
        node = Node()
        if early:
            node.click(event(1, "u"))
        node.give(moved(event(2, "a")), passed(1, 1))
        if not early:
            node.click(event(1, "u"))
        assert (node.user("u").applied, node.user("u").duplicates) == (3, 0)


def test_a_value_that_only_the_contract_reads_and_one_as_large_as_a_topic_takes_are_forwarded() -> None:
    node = Node()
    node.give(ASK)
    node.commit()
    odd = event(1, "a", item_name="é" * 999, price=1) | {"ts": "2026-01-01T00:00:00.0000001+00:00"}
    wide = event(2, "a", items=[{"item_id": f"{n}", "item_name": "\U0001f40e" * 990} for n in range(80)])
    assert len(json.dumps(wide)) > 900_000
    records = node.click(odd, wide).identity
    assert max(len(record.value or b"") for record in records) < 10_000
    taken = Node()
    taken.give(*records)
    assert feature(taken.user("u"), "distinct_items_1d") == 81


# -- taking in -------------------------------------------------------------------------------------------


def test_a_state_and_each_event_are_taken_once_however_often_they_are_read() -> None:
    node = Node()
    records = [moved(event(1, "a")), passed(2, 1), passed(3, 2)]
    node.give(*records, *records, records[0])
    assert node.user("u").applied == 3
    node.commit(["u"])
    node.restart()
    node.reread("forestay-identity")
    assert node.user("u").applied == 3


def test_seventy_ids_become_one_user_and_a_repeated_reading_of_all_adds_nothing() -> None:
    node = Node()
    names = [f"a{n}" for n in range(MAX_LINKS + 6)]
    node.give(*(moved(event(1, name)) for name in names), *(passed(2, 1, name) for name in names))
    assert node.user("u").applied == 140
    node.commit(["u"])
    node.restart()
    node.reread("forestay-identity")
    assert node.user("u").applied == 140
    assert list(node.identity("u").absorbed) == names[6:]
    node.give(passed(2, 1, names[10]), passed(3, 2, names[10]))
    assert node.user("u").applied == 141
    assert list(node.identity("u").absorbed)[-1] == names[10]


def test_seventy_ids_may_be_asked_for_and_one_forgotten_is_asked_again_and_given_once() -> None:
    node = Node()
    node.click(*(event(n, "u", anonymous_id=f"a{n}") for n in range(MAX_LINKS + 6)))
    assert len(node.commit()) == MAX_LINKS + 6
    node.click(event(100, "u", anonymous_id="a0"))
    assert read(node.commit()) == [Ask("a0", "u")]


def test_contacts_of_both_hold_back() -> None:
    shop = catalogue(offer(), cap_contacts=2, cap_days=30, cooldown_days=1, policy=FREE)
    node, other = Node(Rules(score_interval=0), shop), Node(Rules(score_interval=0), shop)
    other.settle(other.click(event(1, "a", 24, **BOUGHT), event(2, "a", 48, **BOUGHT)))
    other.give(ASK)
    waiting = node.click(event(1, "u", 30, **BOUGHT))
    node.give(*other.commit())
    assert len(node.user("u").contacts) == 2
    assert why_not(node, waiting) == "cooldown"
    assert why_not(node, node.click(event(2, "u", 71, **BOUGHT))) == "cooldown"
    assert why_not(node, node.click(event(3, "u", 73, **BOUGHT))) == "frequency_cap"


def why_not(node: Node, applied: Applied) -> str:
    (decision,) = node.settle(applied).decisions
    return decision.suppressed[0].code


def test_of_the_contacts_of_both_the_newest_are_kept() -> None:
    node = Node()
    node.click(event(1, "u"))
    node.user("u").contacts = [Contact(START + n * HOUR, "x") for n in range(MAX_CONTACTS)]
    node.give(*with_contact(30.5))
    found = [(contact.ts - START) / HOUR for contact in node.user("u").contacts]
    assert found == [*range(1, 31), 30.5, 31]


def with_contact(hours: float) -> list[OutputRecord]:
    node = Node()
    node.click(event(1, "a"))
    node.user("a").contacts = [Contact(START + round(hours * HOUR), "y")]
    node.give(ASK)
    return node.commit()


def test_a_contact_newer_than_the_moment_to_be_decided_holds_back_too() -> None:
    node = Node(Rules(score_interval=0), catalogue(offer(), cooldown_days=0, policy=FREE))
    waiting = node.click(event(1, "u", 10, **BOUGHT))
    node.give(*with_contact(31))
    assert why_not(node, waiting) == "cooldown"


def test_a_forwarded_event_scores_the_user_and_writes_their_features() -> None:
    kinds = frozenset(range(len(EVENT_NAMES)))
    node = Node(Rules(feature_stream=FeatureStream(kinds, ("page_view_count_1h",))), catalogue(offer()))
    node.click(event(1, "u"))
    applied = node.give(passed(2, 0, ts=START + 2 * HOUR))
    (situation,) = applied.situations
    assert (situation.user_id, situation.trigger.kind, situation.trigger.topic) == (
        "u",
        TriggerKind.EVENT,
        "forestay-identity",
    )
    assert situation.trigger.event_id == "e2"
    assert json.loads(applied.features[0].value or b"")["user_id"] == "u"
    assert node.core.clock == START + 2 * HOUR
    assert node.give(passed(2, 0, ts=START + 2 * HOUR)).situations == []


def test_the_clock_of_a_forwarded_event_may_evict_the_user_who_is_new_then() -> None:
    node = Node(Rules(idle=10 * DAY))
    node.click(event(1, "u"))
    node.give(passed(2, 0, ts=START + 30 * DAY))
    assert node.user("u").applied == 1


def test_a_forwarded_event_that_names_another_id_brings_it_to_the_user() -> None:
    node = Node()
    node.give(passed(1, 0, anonymous_id="b"), passed(2, 1, anonymous_id="a"), passed(3, 2, anonymous_id="u"))
    assert read(node.commit()) == [Ask("b", "u")]


def test_an_id_that_is_leaving_and_names_another_asks_for_its_user() -> None:
    node = Node()
    node.click(event(1, "a"))
    node.give(ASK)
    applied = node.click(event(2, "a", anonymous_id="b"), event(3, "a", anonymous_id="u"))
    assert read(applied.identity) == [Ask("b", "u")]


def test_ids_of_a_partition_far_ahead_make_no_repeat_count() -> None:
    """Events of another partition's future must not let go of the ids of events that may be repeated here."""
    node = Node()
    node.click(event(1, "u"), event(2, "u", 71))
    node.give(moved(event(3, "a", 2_400)))
    node.click(event(4, "u", 71), event(5, "u", 72))
    node.commit()
    node.restart()
    node.click(event(1, "u"), event(2, "u", 71))
    assert (node.user("u").applied, node.user("u").duplicates) == (5, 2)


def test_triggers_remember_the_events_of_both() -> None:
    view, buy = EVENT_NAMES.index("view_item"), EVENT_NAMES.index("purchase")
    rule = PatternRule("looked", 1, count=2, within=DAY, by_item=False, after=HOUR, again_after=DAY)
    rules = Rules(score_on=frozenset([buy]), patterns=PatternRules([(rule, [view], [buy])]))
    node, other = Node(rules), Node(rules)
    node.click(event(1, "u", event="view_item"))
    other.click(event(2, "a", 1, event="view_item"))
    other.give(ASK)
    node.give(*other.commit())
    (situation,) = node.click(event(3, "z", 3)).situations
    assert (situation.trigger.name, situation.now) == ("looked", START + 2 * HOUR)


# -- records that nobody should write --------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            b"",
            b"{}",
            b"\xc1",
            msgspec.msgpack.encode(["ask", "a"]),
            msgspec.msgpack.encode(["tell", "a", "u"]),
        ),
        *(msgspec.msgpack.encode(["ask", "\x00mark", "u"]), msgspec.msgpack.encode(["ask", "", "u"])),
        *(msgspec.msgpack.encode(["ask", "a" * 201, "u"]), msgspec.msgpack.encode(["ask", "a", 1])),
        msgspec.msgpack.encode(["forward", "a", "u", 2**63, []]),
        msgspec.msgpack.encode(["move", "a", "u", -2, b""]),
    ],
)
def test_what_is_no_identity_record_is_a_dead_letter(value: bytes | None) -> None:
    node = Node()
    assert codes(node.give(OutputRecord(b"a", value))) == [b"identity"]
    assert len(node.core.users) == 0


def test_a_wrong_key_an_id_into_itself_and_a_state_not_of_this_user_are_dead_letters() -> None:
    node = Node()
    assert codes(node.give(OutputRecord(b"u", ASK.value))) == [b"wrong_key"]
    assert codes(node.give(encode_identity(Ask("a", "a")))) == [b"identity"]
    (move,) = read([moved(event(1, "a"))])
    others = [
        msgspec.structs.replace(move, user="v"),
        msgspec.structs.replace(move, offset=7),
        msgspec.structs.replace(move, state=move.state[:40]),
        msgspec.structs.replace(move, state=move.state[:1]),
    ]
    assert codes(node.give(*map(encode_identity, others))) == [b"identity"] * 4
    assert len(node.core.users) == 0


def test_a_state_of_a_newer_version_stops_the_worker() -> None:
    (move,) = read([moved(event(1, "a"))])
    newer = msgspec.structs.replace(move, state=b"\x07" + move.state[1:])
    with pytest.raises(StateError, match="update all workers"):
        Node().give(encode_identity(newer))


def test_an_event_for_a_user_who_was_merged_is_kept_as_a_dead_letter() -> None:
    node = Node()
    node.give(encode_identity(Ask("u", "x")))
    assert codes(node.give(passed(1, 0), moved(event(1, "a")))) == [b"identity"] * 2


def test_an_event_of_numbers_no_shop_has_is_a_dead_letter() -> None:
    """Sums of them could not be written: the worker would stop at the checkpoint, at every start anew."""
    node = Node()
    (forward,) = read([passed(1, 3)])
    absurd = msgspec.structs.replace(forward.event, items=[(7, 7, 2**62, 2**62)])
    assert codes(node.give(encode_identity(msgspec.structs.replace(forward, event=absurd)))) == [b"identity"]


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x00",
        b"\x01",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"",
        b"\xff" * 8 + b"\x7f",
        b"\xfe" + b"\xff" * 7 + b"\x7f",
        b"\x00" * 9,
    ],
    ids=repr,
)
def test_a_state_with_any_one_wrong_byte_stops_no_worker(wrong: bytes) -> None:
    clicks = [
        event(1, "a", event="add_to_cart", item_id="i", price=2),
        event(2, "a", 1, event="purchase", order_id="o"),
    ]
    (move,) = read([moved(*clicks, event(3, "a", 2, event="view_item", item_id="j", category="c"))])
    for at in range(5, len(move.state)):
        state = move.state[:at] + wrong + move.state[at + 1 :]
        node = Node()
        node.click(event(9, "u", 3, event="add_to_cart", item_id="i", price=1))
        node.give(encode_identity(msgspec.structs.replace(move, state=state)))
        node.click(event(10, "u", 30, event="purchase"))
        node.core.checkpoint(0, 0)


def test_words_of_consent_follow_an_id_to_its_user() -> None:
    """Those said before it left, in its state, and those said after, one by one."""
    withdrawn: dict[str, Any] = {"event": "consent_withdrawn", "channel": "email"}
    node = Node()
    node.click(event(1, "a"), event(2, "a", 1, **withdrawn))
    node.give(ASK)
    (move,) = node.commit()
    (forward,) = node.click(event(3, "a", 2, event="consent_granted", channel="sms")).identity
    taken = Node()
    taken.click(event(4, "u", 0, event="consent_granted", channel="email"))
    taken.give(move, forward)
    words = [(one.channel, one.ts, one.granted) for one in taken.user("u").consents]
    assert words == [("email", START + HOUR, False), ("sms", START + 2 * HOUR, True)]
    assert taken.user("u").applied == 1
    unknown = forward.value.replace(b"\xcd\x03\xe8", b"\xcd\x03\xe7") if forward.value else b""
    assert codes(taken.give(OutputRecord(b"u", unknown))) == [b"identity"]
