"""What stock Faust did to the shop: the same counts as the oracle's, as far as its job has them.

It promises at least once. `events_doubled` and `events_lost` are those of a plain counter in its Table;
`totals_wrong` are users whose numbers are wrong although the ids of their events are remembered beside them.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from forestay_chaos.oracle_truth import milliseconds, sequence_of
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.stock_shop import State, count, new_user, told
from forestay_chaos.traffic import Traffic
from forestay_chaos.verdict import Verdict

#: How the twin of `forestay worker` is started: the module, with the same variables.
STOCK_MODULE: Final = "forestay_chaos.stock_worker"


def stock_traffic(traffic: Traffic) -> Traffic:
    """Returns the traffic up to the probes: stock Faust has no silences, and reads no clock."""
    end = traffic.barriers[1]
    return replace(traffic, records=traffic.records[:end], barriers=(traffic.barriers[0], end))


def judge_stock(traffic: Traffic, read: Mapping[str, Sequence[ReadRecord]]) -> Verdict:
    """Returns what is to be said of the records `read`, by role of their topic, in order of partition and offset."""
    verdict = Verdict()
    sent: set[int | None] = set()
    refused: dict[tuple[int, int], ReadRecord] = {}
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in read["clickstream"]:
        place = sequence_of(record)
        sent.add(place)
        if place in traffic.broken:
            refused[record.partition, record.offset] = record
        else:
            event = json.loads(record.value or b"")
            events[event["user_id"]].append(event | {"ts": milliseconds(event["ts"])})
    missing = len(traffic.records) - len(sent - {None})
    if missing:
        verdict.complete = False
        verdict.find("not_sent", "records of the traffic are not on their topic", missing)
    verdict.events = sum(map(len, events.values()))
    _check_counts(traffic, events, read["features"], verdict)
    _check_actions(events, read["actions"], verdict)
    _check_letters(refused, read["dead_letters"], verdict)
    return verdict


def _check_counts(
    traffic: Traffic, events: Mapping[str, Sequence[dict[str, Any]]], features: Sequence[ReadRecord], verdict: Verdict
) -> None:
    last = {}
    for record in features:
        value = json.loads(record.value or b"{}")
        last[value["user_id"]] = value
    for user, done in events.items():
        found = last.get(user)
        if user in traffic.users and (found is None or found["ts"] != done[-1]["ts"]):
            verdict.complete = False
        state: State = new_user()
        for event in done:
            state = count(state, event)
        expected, values = told(state), (found or {}).get("features", {})
        off = values.get("records_total", 0) - len(done)
        if off:
            text = f"{user}: of {len(done)} records counted {values.get('records_total')}"
            verdict.find("events_doubled" if off > 0 else "events_lost", text, abs(off))
        if any(values.get(name) != expected[name] for name in expected if name != "records_total"):
            verdict.find("totals_wrong", f"{user}: {expected} is right, not {values}")


def _check_actions(
    events: Mapping[str, Sequence[dict[str, Any]]], actions: Sequence[ReadRecord], verdict: Verdict
) -> None:
    purchases = [event["event_id"] for done in events.values() for event in done if event["event"] == "purchase"]
    found: dict[str, list[str]] = defaultdict(list)
    for record in actions:
        action = json.loads(record.value or b"{}")
        found[action["event_id"]].append(action["action_id"])
    verdict.actions = len(actions)
    for bought in set(purchases) - found.keys():
        verdict.find("actions_lost", f"of purchase {bought}")
    for bought, names in found.items():
        # An event that its producer sent twice is answered twice: that is no fault of Faust's.
        verdict.actions_repeated_same_id += max(len(names) - purchases.count(bought), 0)
        verdict.actions_repeated_other_id += len(set(names)) - 1


def _check_letters(
    refused: Mapping[tuple[int, int], ReadRecord], letters: Sequence[ReadRecord], verdict: Verdict
) -> None:
    found: set[tuple[int, int]] = set()
    verdict.dead_letters = len(letters)
    for letter in letters:
        where = {name: value or b"" for name, value in letter.headers}
        place = int(where.get("forestay-partition", b"-1")), int(where.get("forestay-offset", b"-1"))
        original = refused.get(place)
        if original is None:
            verdict.find("dead_letters_made_up", f"{place}")
        elif (original.key, original.value) != (letter.key, letter.value):
            verdict.find("dead_letters_altered", f"{place}")
        verdict.dead_letters_repeated += place in found
        found.add(place)
    for place in refused.keys() - found:
        verdict.find("dead_letters_lost", f"{place}")
