"""What stock Faust did to the shop: the same counts as the oracle's, as far as its job has them.

It promises at least once. `events_doubled` and `events_lost` are those of a plain counter in its Table;
`totals_wrong` are users whose numbers are wrong although the ids of their events are remembered beside them.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from forestay_chaos.oracle_truth import milliseconds, sequence_of
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.stock_shop import State, count, new_user, told
from forestay_chaos.traffic import Traffic
from forestay_chaos.verdict import Verdict

Place = tuple[int, int]
Refused = dict[Place, ReadRecord]
Events = dict[str, list[dict[str, Any]]]
_LOST: Final = ("events_lost", "totals_wrong", "actions_lost", "dead_letters_lost")
#: How the twin of `forestay worker` is started: the module, with the same variables.
STOCK_MODULE: Final = "forestay_chaos.stock_worker"
#: The topic Faust makes for its Table.
CHANGELOG: Final = "{group}-users-changelog"


def stock_traffic(traffic: Traffic) -> Traffic:
    """Returns the traffic up to the probes: stock Faust has no silences, and reads no clock."""
    end = traffic.barriers[1]
    return replace(traffic, records=traffic.records[:end], barriers=(traffic.barriers[0], end))


def judge_stock(traffic: Traffic, read: Mapping[str, Sequence[ReadRecord]], worked_off: bool = True) -> Verdict:
    """Returns what is to be said of the records `read`, by role of their topic, in order of partition and offset.

    Of a run that got stuck (not `worked_off`: its group never committed the end) nothing is said to be lost or wrong.
    """
    verdict = Verdict(complete=worked_off)
    refused, events = _sent(traffic, read["clickstream"], verdict)
    verdict.events = sum(map(len, events.values()))
    _check_counts(events, read["features"], verdict)
    _check_actions(events, read["actions"], verdict)
    _check_letters(refused, read["dead_letters"], verdict)
    if not worked_off:
        for name in _LOST:
            setattr(verdict, name, 0)
        verdict.findings = [text for text in verdict.findings if not text.startswith(_LOST)]
    return verdict


def _sent(traffic: Traffic, clickstream: Sequence[ReadRecord], verdict: Verdict) -> tuple[Refused, Events]:
    """Returns the broken records by their place, and the events by user, as they lie on their topic."""
    places: set[int | None] = set()
    refused: Refused = {}
    events: Events = defaultdict(list)
    for record in clickstream:
        place = sequence_of(record)
        places.add(place)
        if place in traffic.broken:
            refused[record.partition, record.offset] = record
        else:
            event = json.loads(record.value or b"")
            events[event["user_id"]].append(event)
    missing = len(traffic.records) - len(places - {None})
    if missing:
        verdict.complete = False
        verdict.find("not_sent", "records of the traffic are not on their topic", missing)
    return refused, events


def _check_counts(events: Events, features: Sequence[ReadRecord], verdict: Verdict) -> None:
    last: dict[str, dict[str, Any]] = {}
    answers: dict[tuple[str, int], dict[str, Any]] = {}
    for record in features:
        value = json.loads(record.value or b"{}")
        last[value["user_id"]] = answers[value["user_id"], value["ts"]] = value
    for user, done in events.items():
        state: State = new_user()
        for event in done:
            state = count(state, event)
        # A worker that wakes up may repeat older ones behind the last.
        answer = answers.get((user, milliseconds(done[-1]["ts"]))) or last.get(user, {})
        expected, values = told(state), answer.get("features", {})
        off = values.get("records_total", 0) - len(done)
        if off:
            text = f"{user}: of {len(done)} records counted {values.get('records_total')}"
            verdict.find("events_doubled" if off > 0 else "events_lost", text, abs(off))
        if any(values.get(name) != expected[name] for name in expected if name != "records_total"):
            verdict.find("totals_wrong", f"{user}: {expected} is right, not {values}")


def _check_actions(events: Events, actions: Sequence[ReadRecord], verdict: Verdict) -> None:
    made = [event for done in events.values() for event in done]
    purchases = Counter(event["event_id"] for event in made if event["event"] == "purchase")
    found: dict[str, list[str]] = defaultdict(list)
    for record in actions:
        action = json.loads(record.value or b"{}")
        found[action["trigger"]["event_id"]].append(action["action_id"])
    verdict.actions = len(actions)
    for bought in purchases.keys() - found.keys():
        verdict.find("actions_lost", f"of purchase {bought}")
    for bought in purchases.keys() & found.keys():
        names = found[bought]
        # An event that its producer sent twice is answered twice: that is no fault of Faust's.
        verdict.actions_repeated_same_id += max(len(names) - purchases[bought], 0)
        verdict.actions_repeated_other_id += len(set(names)) - 1


def _check_letters(refused: Refused, letters: Sequence[ReadRecord], verdict: Verdict) -> None:
    found: set[Place] = set()
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
