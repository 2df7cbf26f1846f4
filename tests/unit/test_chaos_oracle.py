"""The oracle of the fault harness: silent where all is well, and loud at each thing that may go wrong."""

import json
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from support.chaos_world import ChaosWorld, Read

from forestay_chaos.oracle import ReadRecord, Verdict, judge
from forestay_chaos.oracle_decisions import check_purchases
from forestay_chaos.oracle_moments import Moment, dues_of
from forestay_chaos.oracle_truth import Counted, Truth, milliseconds, truth_of
from forestay_chaos.traffic import DAY, Traffic, make_traffic

Mutation = Callable[[Read], None]


@cache
def ran(seed: int) -> tuple[Traffic, Read]:
    traffic = make_traffic(seed, 6, 150, 3)
    return traffic, ChaosWorld(traffic).run()


def judged(mutate: Mutation, seed: int = 2) -> Verdict:
    traffic, read = ran(seed)
    copy = {role: list(records) for role, records in read.items()}
    mutate(copy)
    return judge(traffic, copy)


def with_value(record: ReadRecord, change: Callable[[Any], None]) -> ReadRecord:
    value = json.loads(record.value or b"")
    change(value)
    return record._replace(value=json.dumps(value).encode())


def change(role: str, place: int, what: Callable[[Any], None]) -> Mutation:
    def mutate(read: Read) -> None:
        read[role][place] = with_value(read[role][place], what)

    return mutate


def drop(role: str, place: int) -> Mutation:
    return lambda read: read[role].__delitem__(place)


def repeat(role: str, place: int, what: Callable[[Any], None] | None = None) -> Mutation:
    def mutate(read: Read) -> None:
        record = read[role][place]
        read[role].insert(place + 1, record if what is None else with_value(record, what))

    return mutate


@pytest.mark.parametrize("seed", range(6))
def test_of_the_core_itself_it_finds_nothing_wrong(seed: int) -> None:
    verdict = judged(lambda _: None, seed)
    assert verdict.findings == []
    assert verdict.clean
    assert verdict.events > 700
    assert min(verdict.repeats, verdict.dead_letters, verdict.actions, verdict.decisions - verdict.actions) > 5
    assert verdict.budgets_refused > 0


def test_a_visitor_who_never_logs_in_stays_another_user() -> None:
    """With this seed one user sleeps from before the moment at which they would have."""
    traffic, _ = ran(165)
    visitors = {(record.key or b"").decode() for record in traffic.records} - set(traffic.users)
    assert traffic.others.keys() < {name for name in visitors if name.startswith("visitor-")}
    assert judged(lambda _: None, 165).findings == []


def last_feature_of_a_user(read: Read) -> int:
    return max(at for at, record in enumerate(read["features"]) if b'"u2-3"' in (record.value or b""))


def count_one_more(read: Read) -> None:
    change("features", last_feature_of_a_user(read), lambda told: add(told["features"], "events_total", 1))(read)


def count_one_less(read: Read) -> None:
    change("features", last_feature_of_a_user(read), lambda told: add(told["features"], "events_total", -1))(read)


def count_an_order_more(read: Read) -> None:
    change("features", last_feature_of_a_user(read), lambda told: add(told["features"], "orders_total", 1))(read)


def earn_a_cent_less(read: Read) -> None:
    change("features", last_feature_of_a_user(read), lambda told: add(told["features"], "spend_total", -0.01))(read)


def add(told: dict[str, float], name: str, much: float) -> None:
    told[name] += much


def drop_a_state(read: Read) -> None:
    read["state"] = [record for record in read["state"] if record.key != b"u2-3"]


def an_older_state(read: Read) -> None:
    """What a worker that was believed dead writes when it wakes up."""
    old = next(record for record in read["state"] if record.key == b"u2-3")
    read["state"].append(old)


def damage_a_state(read: Read) -> None:
    """In its last byte: what was counted can be read as before."""
    at = max(at for at, record in enumerate(read["state"]) if record.key == b"u2-3")
    value = read["state"][at].value or b""
    read["state"][at] = read["state"][at]._replace(value=value[:-1] + bytes([value[-1] ^ 1]))


def other_bytes(read: Read) -> None:
    read["dead_letters"][4] = read["dead_letters"][4]._replace(value=b"other bytes")


def refuse_a_good_one(read: Read) -> None:
    letter = read["dead_letters"][0]
    headers = tuple((name, b"1000000" if name == "forestay-offset" else value) for name, value in letter.headers)
    read["dead_letters"].append(letter._replace(headers=headers))


def soon_again(read: Read) -> None:
    """Two offers to one user within a second, each with its decision, in place of two that were apart."""
    first = read["actions"][0]
    second = next(at for at, action in enumerate(read["actions"]) if at and action.key == first.key)
    change("actions", second, lambda action: action.update(decided_at=json.loads(first.value or b"")["decided_at"]))(
        read
    )


def paid(read: Read) -> int:
    """Returns the place of the first decision that takes of the campaign's budget alone."""
    return next(
        at
        for at, record in enumerate(read["decisions"])
        if b'"budgets":[{"budget":"coupons"' in (record.value or b"")
    )


def take_too_much(read: Read) -> None:
    """As many hundredths as the campaign has, at the cost the action tells."""
    at = paid(read)
    change("decisions", at, lambda decision: decision["budgets"][0].update(amount=2_000))(read)
    name = json.loads(read["decisions"][at].value or b"")["action_id"]
    action = next(at for at, record in enumerate(read["actions"]) if name.encode() in (record.value or b""))
    change("actions", action, lambda action: action.update(cost=20.0))(read)


def take_nothing(read: Read) -> None:
    change("decisions", paid(read), lambda decision: decision.update(budgets=[]))(read)


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "an event counted twice": (count_one_more, "events_doubled"),
    "an event lost": (count_one_less, "events_lost"),
    "an order counted twice": (count_an_order_more, "totals_wrong"),
    "a cent lost": (earn_a_cent_less, "totals_wrong"),
    "a feature record lost": (drop("features", 10), "features_lost"),
    "a feature record nobody owes": (
        repeat("features", 10, lambda told: add(told["features"], "refunds_total", 1)),
        "features_made_up",
    ),
    "a state lost": (drop_a_state, "states_wrong"),
    "a state put back": (an_older_state, "states_wrong"),
    "a state damaged": (damage_a_state, "states_wrong"),
    "a dead letter lost": (drop("dead_letters", 3), "dead_letters_lost"),
    "a dead letter altered": (other_bytes, "dead_letters_altered"),
    "a good record among the dead": (refuse_a_good_one, "dead_letters_made_up"),
    "a decision lost": (drop("decisions", 7), "decisions_lost"),
    "a decision with another id": (repeat("decisions", 7, lambda d: d.update(decision_id="x")), "decisions_doubled"),
    "a decision nobody owes": (
        repeat("decisions", 7, lambda d: d.update(decision_id="x", decided_at="2025-03-02T00:00:00.000Z")),
        "decisions_made_up",
    ),
    "a decision that says two things": (
        repeat("decisions", 7, lambda d: d.update(holdout=not d["holdout"])),
        "decisions_contradicting",
    ),
    "a decision by two scores": (
        repeat("decisions", 7, lambda d: d["churn"].update(probability=0.1)),
        "decisions_contradicting_by_score",
    ),
    "an action lost": (drop("actions", 5), "actions_lost"),
    "an action with another id": (
        repeat("actions", 5, lambda a: a.update(action_id="x")),
        "actions_repeated_other_id",
    ),
    "an action nobody decided": (repeat("actions", 5, lambda a: a.update(action_id="x")), "actions_made_up"),
    "an action that says two things": (repeat("actions", 5, lambda a: a.update(cost=1e6)), "actions_contradicting"),
    "an offer too soon": (soon_again, "caps_overspent"),
    "a budget overspent": (take_too_much, "budgets_overspent"),
    "an action that nobody paid": (take_nothing, "budgets_wrong"),
}


@pytest.mark.parametrize(("mutate", "count"), MUTATIONS.values(), ids=MUTATIONS.keys())
def test_it_finds(mutate: Mutation, count: str) -> None:
    verdict = judged(mutate)
    assert verdict.must_be_zero()[count] >= 1
    assert not verdict.clean
    assert any(finding.startswith(count) for finding in verdict.findings)


@pytest.mark.parametrize(
    ("role", "count"),
    [
        ("actions", "actions_repeated_same_id"),
        ("decisions", "decisions_repeated"),
        ("dead_letters", "dead_letters_repeated"),
        ("features", "features_repeated"),
    ],
)
def test_the_same_record_twice_is_counted_and_allowed(role: str, count: str) -> None:
    verdict = judged(repeat(role, 0))
    assert getattr(verdict, count) == 1
    assert verdict.clean


def test_of_ids_that_became_one_it_finds_a_lost_event_too() -> None:
    traffic, _ = ran(3)
    user = next(iter(traffic.others.values())).encode()

    def lose(read: Read) -> None:
        last = max(at for at, record in enumerate(read["features"]) if record.key == user)
        change("features", last, lambda told: add(told["features"], "events_total", -1))(read)

    assert judged(lose, 3).events_lost == 1


def test_beside_ids_that_become_one_every_lost_decision_on_a_purchase_is_found() -> None:
    """Each by itself: what excuses one is a silence or a cart decided on as of a later moment, and nothing else."""
    traffic, read = ran(3)
    truth = truth_of(traffic, read["clickstream"], read["clock"])
    merged = traffic.others.keys() | traffic.others.values()
    by_user: dict[str, list[Moment]] = defaultdict(list)
    for record in read["decisions"]:
        made = json.loads(record.value or b"")
        trigger = made["trigger"]
        moment = Moment(milliseconds(made["decided_at"]), trigger["kind"], trigger["event_id"])
        by_user[made["user_id"]].append(moment)
    lost = [
        (user, moment) for user in truth.counted.keys() - merged for moment in by_user[user] if moment.kind == "event"
    ]
    assert len(lost) > 100
    for user, moment in lost:
        verdict = Verdict()
        check_purchases(truth, user, set(by_user[user]) - {moment}, verdict)
        assert verdict.decisions_lost >= 1, moment


def test_a_purchase_behind_what_was_decided_before_late_events_is_not_owed() -> None:
    """A late event gives the user a rhythm, and moves the silence that had been decided on before it came."""
    begin = 1_740_787_200_000
    visits = [Counted(f"v{day}", "page_view", begin + day * DAY, 0, 0, "") for day in (0, 1, 2)]
    late = Counted("late", "page_view", begin + DAY // 2, 0, 0, "")
    bought = Counted("bought", "purchase", begin + 3 * DAY, 0, 100, "")
    truth = Truth()
    truth.counted["u"] = [*visits, late, bought]
    silence = begin + 2 * DAY + 14 * DAY
    assert silence in dues_of(visits)
    assert silence not in dues_of([*visits, late])
    for decided, lost in ((silence, 0), (silence + 1, 1)):
        verdict = Verdict()
        check_purchases(truth, "u", {Moment(decided, "silence", None)}, verdict)
        assert verdict.decisions_lost == lost


def test_what_was_never_sent_is_not_said_to_be_lost() -> None:
    verdict = judged(drop("clock", 0))
    assert (verdict.not_sent, verdict.complete, verdict.clean) == (1, False, False)


def test_a_run_that_did_not_come_to_its_end_is_not_complete() -> None:
    verdict = judged(lambda read: drop("features", last_feature_of_a_user(read))(read))
    assert not verdict.complete


def test_a_verdict_is_json_and_tells_no_more_than_twenty_findings() -> None:
    verdict = judged(lambda read: read["actions"].clear())
    assert verdict.actions_lost > 20
    assert len(verdict.findings) == 20
    assert json.loads(json.dumps(verdict.as_json()))["actions_lost"] == verdict.actions_lost
