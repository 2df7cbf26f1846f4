"""The judge of stock Faust under fire: it counts what a Table counts, and finds what is lost and repeated."""

import json
from collections import defaultdict
from collections.abc import Callable
from uuid import NAMESPACE_OID, uuid5

import pytest
from support.chaos_world import SENT_AT, Read

from forestay_chaos.engines import STOCK
from forestay_chaos.errors import ChaosError
from forestay_chaos.oracle_truth import milliseconds
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.scenario import chosen, compose
from forestay_chaos.stock_oracle import judge_stock, stock_traffic
from forestay_chaos.stock_shop import State, count, new_user, told
from forestay_chaos.traffic import Traffic, make_traffic


@pytest.fixture
def traffic() -> Traffic:
    return stock_traffic(make_traffic(3, 5, 100, 2))


@pytest.fixture
def read(traffic: Traffic) -> Read:
    """What a shop without faults leaves on the topics."""
    found: Read = {role: [] for role in ("clickstream", "features", "actions", "dead_letters")}
    users: dict[str, State] = defaultdict(new_user)
    for place, sent in enumerate(traffic.records):
        record = ReadRecord("clickstream", sent.partition, place, SENT_AT, sent.key, sent.value, sent.headers)
        found["clickstream"].append(record)
        if place in traffic.broken:
            where = (("forestay-partition", str(sent.partition).encode()), ("forestay-offset", str(place).encode()))
            found["dead_letters"].append(record._replace(headers=(*record.headers, *where)))
            continue
        event = json.loads(sent.value or b"")
        user = event["user_id"]
        users[user] = count(users[user], event)
        value = {"user_id": user, "ts": milliseconds(event["ts"]), "features": told(users[user])}
        found["features"].append(record._replace(value=json.dumps(value).encode()))
        if event["event"] == "purchase":
            name = str(uuid5(NAMESPACE_OID, event["event_id"]))
            value = {"action_id": name, "trigger": {"event_id": event["event_id"]}}
            found["actions"].append(record._replace(value=json.dumps(value).encode()))
    return found


def test_of_a_shop_without_faults_it_finds_nothing(traffic: Traffic, read: Read) -> None:
    verdict = judge_stock(traffic, read)
    assert verdict.findings == []
    assert verdict.clean
    assert min(verdict.actions, verdict.dead_letters) > 0


def recount(read: Read, more: int) -> None:
    value = json.loads(read["features"][-1].value or b"")
    value["features"]["records_total"] += more
    read["features"][-1] = read["features"][-1]._replace(value=json.dumps(value).encode())


def another_id(read: Read) -> None:
    value = json.loads(read["actions"][0].value or b"")
    read["actions"].append(read["actions"][0]._replace(value=json.dumps(value | {"action_id": "x"}).encode()))


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda read: recount(read, 3), "events_doubled"),
        (lambda read: recount(read, -3), "events_lost"),
        (lambda read: read["actions"].clear(), "actions_lost"),
        (another_id, "actions_repeated_other_id"),
        (lambda read: read["dead_letters"].pop(), "dead_letters_lost"),
    ],
)
def test_it_finds(traffic: Traffic, read: Read, spoil: Callable[[Read], object], name: str) -> None:
    spoil(read)
    assert judge_stock(traffic, read).must_be_zero()[name] >= 1


def test_of_what_was_not_worked_off_nothing_is_said_to_be_lost(traffic: Traffic, read: Read) -> None:
    read["actions"].clear()
    verdict = judge_stock(traffic, read, worked_off=False)
    assert not verdict.clean
    assert not any(verdict.must_be_zero().values())


def test_a_repeated_action_is_told(traffic: Traffic, read: Read) -> None:
    read["actions"].append(read["actions"][0])
    assert judge_stock(traffic, read).actions_repeated_same_id == 1


def test_a_lost_state_shows_in_what_the_ids_protect_too(traffic: Traffic, read: Read) -> None:
    value = json.loads(read["features"][-1].value or b"")
    value["features"]["events_total"] -= 1
    read["features"][-1] = read["features"][-1]._replace(value=json.dumps(value).encode())
    assert judge_stock(traffic, read).totals_wrong == 1


def test_both_engines_can_be_given_the_same_faults() -> None:
    assert chosen("plain") == STOCK.kinds == chosen("", STOCK.kinds)
    assert compose(5, chosen("plain")) == compose(5, STOCK.kinds)
    assert not any("@" in kind or "triton" in kind for kind in STOCK.kinds)


def test_what_cannot_befall_an_engine_is_refused() -> None:
    with pytest.raises(ChaosError, match="nothing of triton-kill can befall"):
        chosen("triton-kill", STOCK.kinds)
