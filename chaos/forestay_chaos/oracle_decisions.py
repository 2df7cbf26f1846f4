"""Decisions and actions: each that must be is there, once, and says one thing."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from forestay_chaos.oracle_budgets import check_budgets
from forestay_chaos.oracle_contacts import check_contacts
from forestay_chaos.oracle_counts import events_of
from forestay_chaos.oracle_moments import Moment, dues_of, last_silences, moments_of
from forestay_chaos.oracle_truth import Truth, milliseconds
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.traffic import Traffic
from forestay_chaos.verdict import Verdict

Made = dict[str, Any]


def check_decisions(
    traffic: Traffic, truth: Truth, read: Mapping[str, Sequence[ReadRecord]], verdict: Verdict
) -> None:
    """Holds decisions and actions against each other, against what had to be decided, and against the catalogue."""
    decisions = _distinct_decisions(read["decisions"], verdict)
    actions = _distinct_actions(read["actions"], verdict)
    _check_one_a_moment(decisions.values(), "decision_id", "decisions_doubled", verdict)
    _check_one_a_moment(actions.values(), "action_id", "actions_repeated_other_id", verdict)
    _check_acted(decisions, actions, verdict)
    by_user: dict[str, list[Made]] = defaultdict(list)
    for decision in decisions.values():
        by_user[decision["user_id"]].append(decision)
    for user in truth.counted:
        _check_moments(traffic, truth, user, by_user.pop(user, []), verdict)
    for user, invented in by_user.items():
        verdict.find("decisions_made_up", f"{user} has done nothing", len(invented))
    check_contacts(decisions.values(), actions.values(), verdict)
    check_budgets(decisions, actions, verdict)


def _distinct_decisions(records: Iterable[ReadRecord], verdict: Verdict) -> dict[str, Made]:
    first: dict[str, Made] = {}
    for record in records:
        decision: Made = json.loads(record.value or b"{}")
        name = decision["decision_id"]
        verdict.decisions += 1
        if name not in first:
            first[name] = decision
        elif decision == first[name]:
            verdict.decisions_repeated += 1
        else:
            by_score = decision["churn"] != first[name]["churn"]
            found = "decisions_contradicting_by_score" if by_score else "decisions_contradicting"
            verdict.find(found, f"{name} of {decision['user_id']}: {_differing(first[name], decision)}")
    return first


def _distinct_actions(records: Iterable[ReadRecord], verdict: Verdict) -> dict[str, Made]:
    first: dict[str, bytes] = {}
    for record in records:
        value = record.value or b"{}"
        name = json.loads(value)["action_id"]
        verdict.actions += 1
        if name in first:
            verdict.actions_repeated_same_id += 1
            if value != first[name]:
                differing = _differing(json.loads(first[name]), json.loads(value))
                verdict.find("actions_contradicting", f"{name}: {differing}")
        first.setdefault(name, value)
    return {name: json.loads(value) for name, value in first.items()}


def _differing(one: Made, other: Made) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _check_one_a_moment(made: Iterable[Made], name: str, count: str, verdict: Verdict) -> None:
    """Looks for two ids of one user and moment, or of one event."""
    moments: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for each in made:
        moments[each["user_id"], each["decided_at"]].add(each[name])
        if each["trigger"]["event_id"] is not None:
            moments[("event", each["trigger"]["event_id"])].add(each[name])
    for moment, names in moments.items():
        if len(names) > 1:
            verdict.find(count, f"{moment}: {sorted(names)}", len(names) - 1)


def _check_acted(decisions: Mapping[str, Made], actions: Mapping[str, Made], verdict: Verdict) -> None:
    for decision in decisions.values():
        name = decision["action_id"]
        if (name is None) != (decision["offer_id"] is None):
            verdict.find("actions_lost", f"decision {decision['decision_id']} names an offer or an action, not both")
        elif name is not None and name not in actions:
            verdict.find("actions_lost", f"{name} of decision {decision['decision_id']} of {decision['user_id']}")
    for name, action in actions.items():
        made = decisions.get(action["decision_id"])
        if made is None or any(
            made[part] != action[part] for part in ("action_id", "user_id", "offer_id", "decided_at")
        ):
            verdict.find("actions_made_up", f"{name} of {action['user_id']}: no decision says so")


def _check_moments(traffic: Traffic, truth: Truth, user: str, made: Sequence[Made], verdict: Verdict) -> None:
    found = {
        Moment(milliseconds(each["decided_at"]), each["trigger"]["kind"], each["trigger"]["event_id"])
        for each in made
    }
    clock = truth.clocks.get(truth.partitions[user], -1)
    if traffic.others:
        _check_some(traffic, truth, user, found, verdict)
        return
    expected = set(moments_of(truth.counted[user], clock))
    for lost in sorted(expected - found, key=str):
        verdict.find("decisions_lost", f"{user}: {lost}")
    for made_up in sorted(found - expected, key=str):
        verdict.find("decisions_made_up", f"{user}: {made_up}")


def _check_some(traffic: Traffic, truth: Truth, user: str, found: set[Moment], verdict: Verdict) -> None:
    """Checks what is sure although ids became one: purchases, and the silences after the probes."""
    merged = traffic.others.keys() | traffic.others.values()
    bought = {
        event.event_id
        for event in events_of(traffic, truth, traffic.others.get(user, user))
        if event.kind == "purchase"
    }
    for moment in found:
        if moment.event_id is not None and moment.event_id not in bought:
            verdict.find("decisions_made_up", f"{user}: {moment} is no purchase of theirs")
    if user in traffic.others:
        return
    clock = truth.clocks.get(truth.partitions[user], -1)
    begin = max(event.ts for event in truth.counted[user])
    expected = set(last_silences(events_of(traffic, truth, user), clock))
    late = {moment for moment in found if moment.ts > begin and moment.kind == "silence"}
    for lost in expected - late:
        verdict.find("decisions_lost", f"{user}: {lost}")
    for made_up in late - expected:
        verdict.find("decisions_made_up", f"{user}: {made_up}")
    if user not in merged:
        check_purchases(truth, user, found, verdict)


def check_purchases(truth: Truth, user: str, found: set[Moment], verdict: Verdict) -> None:
    """Looks for the decision of each purchase that was the user's newest event when it came.

    It is not owed where the user was decided upon as of a later moment before: a clock that events of merged ids made
    run ahead can do that.
    """
    decided = {moment.event_id for moment in found}
    others = {moment.ts for moment in found if moment.event_id is None}
    newest = -1
    dues: set[int] = set()
    events = truth.counted[user]
    for place, event in enumerate(events):
        # Of what was known earlier, too: a moment decided on stays so, though events that came since would move it.
        dues |= dues_of(events[:place])
        if event.kind == "purchase" and event.ts >= newest and event.event_id not in decided:
            twice = any(moment.ts == event.ts for moment in found)
            if not twice and not any(due >= event.ts for due in dues & others):
                verdict.find("decisions_lost", f"{user}: purchase {event.event_id} at {event.ts}")
        newest = max(newest, event.ts)
