"""Automatic pauses: they stop what a plain count of all that was told says, survive crashes, and are made again."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import DIGEST, FEEDBACK_TOPIC, SOURCES, catalogue, offer
from support.crash_sources import sources
from support.fakes import hashing_model
from support.ledger_world import TOPICS, InMemory, again, lived
from support.simulation import DECISIONS, Life, Logs, Pushed

from forestay.catalogues.record import record_of
from forestay.configuration import Configuration
from forestay.core.decision.catalogue import MAX_OFFERS, Catalogue
from forestay.core.decision.guardrail_settings import MAX_AUTOMATIC
from forestay.core.decision.pauses import PARTS, Pauses
from forestay.core.partition import Partition
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.pauses_mark import encode_pauses
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay.core.units import DAY, HOUR
from forestay.rerun.catalogues import Catalogues
from forestay_schemas import Decision, FeedbackKind, LedgerCommit, LedgerRecord, RetentionAction, rfc3339

FOR_EVER = datetime(2026, 11, 23, tzinfo=UTC)
OFFERS = ("call", "mail", "other")
KINDS = {"call": "outreach", "mail": "message", "other": "message"}


def shop(*rules: dict[str, Any], name: str = "shop", **more: Any) -> Catalogue:
    offers = [offer(one, kind=KINDS[one], effect=0.5) for one in OFFERS]
    whole = catalogue(*offers, policy={"exploration": 1.0, "margin": 1.0}, **more).model_dump(by_alias=True)
    return Catalogue.model_validate(whole | {"name": name, "switches": {"automatic": list(rules)}})


class Telling(NamedTuple):
    """Feedback on one action."""

    action: int
    offer: str
    kind: FeedbackKind
    hours: int


RULE = st.fixed_dictionaries(
    {
        "share": st.sampled_from([0.2, 0.5, 1.0]),
        "at_least": st.integers(1, 6),
        "hours": st.sampled_from([1, 12, 24]),
        "feedback": st.sampled_from([["complained"], ["failed"], ["complained", "failed"]]),
    },
    optional={"offer": st.sampled_from(OFFERS)},
)
TELLINGS = st.lists(
    st.builds(Telling, st.integers(0, 30), st.sampled_from(OFFERS), st.sampled_from(FeedbackKind), st.integers(0, 3)),
    max_size=60,
)


def oracle(rule: dict[str, Any], kind: str | None, tellings: Sequence[Telling]) -> dict[str, int]:
    """Returns by subject the number of the telling that stops it; all is counted anew for each telling."""
    stopped: dict[str, int] = {}
    width = rule["hours"] * HOUR // PARTS
    seen: dict[tuple[int, str], list[str]] = {}
    log: list[tuple[str, int, int, int]] = []
    clock = 0
    for number, telling in enumerate(tellings):
        clock += telling.hours * HOUR
        before = seen.setdefault((telling.action, telling.offer), [])
        first, bad = not before, telling.kind in rule["feedback"] and not set(before) & set(rule["feedback"])
        before.append(telling.kind)
        if rule.get("offer") not in {None, telling.offer} or kind not in {None, KINDS[telling.offer]}:
            continue
        subject = telling.offer if kind is None else kind
        if subject in stopped or not (first or bad):
            continue
        log.append((subject, clock // width, int(first), int(bad)))
        window = [one for one in log if one[0] == subject and one[1] > clock // width - PARTS]
        told, ill = sum(one[2] for one in window), sum(one[3] for one in window)
        # As the catalogue writes the share, in decimals: 7 of 100 are 0.07.
        if told >= rule["at_least"] and ill >= Fraction(str(rule["share"])) * told:
            stopped[subject] = number
    return stopped


@given(rule=RULE, kind=st.sampled_from([None, "message"]), tellings=TELLINGS, restarts=st.sets(st.integers(0, 60)))
def test_what_is_stopped_is_what_a_plain_count_stops(
    rule: dict[str, Any], kind: str | None, tellings: list[Telling], restarts: set[int]
) -> None:
    if kind is not None:
        rule = {name: value for name, value in rule.items() if name != "offer"} | {"kind": kind}
    one = shop(rule)
    pauses, clock, stopped = Pauses(one, "v"), 0, dict[str, int]()
    bits: dict[tuple[int, str], int] = {}
    for number, telling in enumerate(tellings):
        clock += telling.hours * HOUR
        action = (telling.action, telling.offer)
        before = bits.get(action, 0)
        bits[action] = before | 1 << tuple(FeedbackKind).index(telling.kind)
        if pauses.take(telling.offer, before, telling.kind, clock):
            stopped |= {trip.subject: number for trip in pauses.tripped if trip.subject not in stopped}
        if number in restarts:
            mark = pauses.checkpoint(clock)
            pauses = Pauses(one, "v")
            pauses.restore(mark)
    assert stopped == oracle(rule, kind, tellings)
    switches = pauses.stopped(one).switches
    for name in OFFERS:
        assert switches.stops(name, KINDS[name]) is (name in stopped or KINDS[name] in stopped)  # type: ignore[arg-type]


@given(percent=st.integers(1, 100), hundreds=st.integers(1, 3))
def test_a_share_that_is_reached_to_the_action_is_reached(percent: int, hundreds: int) -> None:
    told, bad = 100 * hundreds, percent * hundreds
    one = shop({"share": float(f"{percent / 100:.2f}"), "at_least": 1, "feedback": ["complained"], "offer": "mail"})
    pauses = Pauses(one, "v")
    for number in range(told):
        kind = FeedbackKind.COMPLAINED if number >= told - bad else FeedbackKind.DELIVERED
        # Where all are told of badly, the first is all.
        assert pauses.take("mail", 0, kind, 0) is (number == (told - 1 if percent < 100 else 0))


def test_the_largest_mark_is_a_record_that_kafka_takes() -> None:
    rules = [{"share": 1.0, "at_least": 10**9, "feedback": ["complained"]} for _ in range(MAX_AUTOMATIC)]
    offers = [offer(f"{number:0200d}") for number in range(MAX_OFFERS)]
    whole = catalogue(*offers).model_dump(by_alias=True) | {"switches": {"automatic": rules}}
    pauses = Pauses(Catalogue.model_validate(whole), "v" * 12)
    clock = int(FOR_EVER.timestamp() * 1_000)
    for part in range(PARTS):
        for one in offers:
            pauses.take(one["id"], 0, FeedbackKind.COMPLAINED, clock + part * 24 * HOUR // PARTS)
    mark = pauses.checkpoint(clock + 23 * HOUR)
    assert mark is not None
    assert sum(len(one.parts) for one in mark.counted) == MAX_AUTOMATIC * MAX_OFFERS * PARTS
    # Beside it stand positions and accounts; the topic takes 1,048,588 bytes as it comes.
    assert len(encode_pauses(mark)) < 900_000


RULES = Rules(reward_horizon=60 * DAY, score_interval=0)
AT_FIRST = {"share": 0.2, "at_least": 1, "hours": 720}


def told(actions: Sequence[RetentionAction], random: Random) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields feedback on some of the actions, with the moment it is told at: complaints of calls, else well."""
    for action in actions:
        decided = round(action.decided_at.timestamp() * 1000)
        kinds = ["complained", "delivered"] if action.offer_id == "call" else ["delivered", "clicked"]
        for kind in random.sample(kinds, random.randint(1, 2)):
            moment = decided + random.choice([HOUR, DAY])
            fields = {"action_id": action.action_id, "user_id": action.user_id, "kind": kind}
            yield moment, {**fields, "ts": rfc3339(action.decided_at)}


def stream(seed: int, one: Catalogue) -> list[SourceRecord]:
    """Events, ticks, and feedback on what comes of them where nothing is stopped, in the order of their time."""
    records, logs = sources(Random(seed)), Logs()
    Life(logs, RULES, one, hashing_model("a"), Random(seed)).run(records, reorder=False)
    by_moment = sorted(told(logs.actions(), Random(seed)), key=lambda pair: pair[0])
    made, offset = list[SourceRecord](), 0
    for record in records:
        while by_moment and by_moment[0][0] <= record.timestamp:
            moment, fields = by_moment.pop(0)
            key = str(fields["user_id"]).encode()
            made.append(SourceRecord(FEEDBACK_TOPIC, 0, offset, moment, key, json.dumps(fields).encode()))
            offset += 1
        made.append(record)
    return made


def world(seed: int) -> tuple[InMemory, list[Catalogue]]:
    random = Random(seed)
    shops = [shop(AT_FIRST, name=f"shop-{number}") for number in range(random.randint(1, 4))]
    recordings = lived(stream(seed, shops[0]), RULES, Pushed(shops), random, crashes=4, reorder=False)
    pushed = [
        record_of(one, revision=number, pushed_at=FOR_EVER, pushed_by="me", reason="r")
        for number, one in enumerate(shops, start=1)
    ]
    recordings.add(TOPICS.catalogue, 0, pushed)
    return recordings, shops


@pytest.mark.parametrize("seed", range(25))
def test_lives_that_crash_while_they_count_are_made_again_to_the_byte(seed: int) -> None:
    recordings, shops = world(seed)
    catalogues = Catalogues(recordings, TOPICS.catalogue, Configuration(RULES, shops[-1], DIGEST))
    found = again(recordings, RULES, shops[-1], catalogues=catalogues)
    assert found.divergence is None, found.divergence


@pytest.mark.parametrize("seed", range(12))
def test_a_rerun_begins_in_the_middle_with_what_was_counted_and_stopped_by_then(seed: int) -> None:
    recordings, shops = world(seed)
    state, ledger = recordings.logs[TOPICS.state], recordings.logs[TOPICS.ledger]
    marks = [n for n, row in enumerate(state) if row.key == MARK_KEY]
    recordings.logs[TOPICS.state] = state[: Random(seed).choice(marks[:-1]) + 1]
    mark = decode_mark(recordings.logs[TOPICS.state][-1].value or b"")
    entries = [LedgerRecord.model_validate_json(row.value or b"").root for row in ledger]
    begin = next(
        n for n, one in enumerate(entries) if isinstance(one, LedgerCommit) and one.positions == mark.positions
    )
    recordings.logs[TOPICS.ledger] = ledger[max(begin, 1) :]
    catalogues = Catalogues(recordings, TOPICS.catalogue, Configuration(RULES, shops[-1], DIGEST))
    assert again(recordings, RULES, shops[-1], catalogues=catalogues).divergence is None


def test_these_worlds_stop_calls_and_offer_them_again_under_another_catalogue() -> None:
    """Else the test above would show nothing."""
    stopped, lifted = 0, 0
    for recordings, _ in map(world, range(25)):
        decided = [Decision.model_validate_json(row.value or b"") for row in recordings.logs[TOPICS.decisions]]
        paused = {
            (number, one.policy.version, cut.offer_id)
            for number, one in enumerate(decided)
            for cut in one.suppressed
            if cut.code == "paused"
        }
        stopped += bool(paused)
        lifted += any(
            one.offer_id == offer_id and number > then and one.policy.version != version
            for number, one in enumerate(decided)
            for then, version, offer_id in paused
        )
    assert stopped >= 10
    assert lifted > 0


@pytest.mark.parametrize("seed", range(10))
def test_once_stopped_an_offer_is_made_no_more_until_another_catalogue_comes(seed: int) -> None:
    one, logs = shop(AT_FIRST), Logs()
    Life(logs, RULES, one, hashing_model("a"), Random(seed)).run(stream(seed, one), reorder=False)
    decided = [Decision.model_validate_json(record.value or b"") for record in logs.topics[DECISIONS]]
    first = next((n for n, each in enumerate(decided) if any(c.code == "paused" for c in each.suppressed)), None)
    if first is not None:
        assert all(each.offer_id != "call" for each in decided[first:])
        assert any(each.offer_id == "call" for each in decided[:first])
    # What is durable says so, to the same catalogue and to no other.
    users, mark, made = logs.recover()
    assert made == []
    assert mark is not None
    for successor, holds in ((one, first is not None), (shop(AT_FIRST, name="other"), False)):
        core = Partition(0, SOURCES, RULES, successor)
        core.restore(dict(users), mark)
        assert bool(core.pauses.tripped) is holds
        core.adopt(successor)
        assert bool(core.pauses.tripped) is holds
        core.adopt(shop(AT_FIRST, name="third"))
        assert core.pauses.tripped == ()


def test_without_rules_the_mark_says_nothing_of_pauses() -> None:
    logs = Logs()
    Life(logs, RULES, shop(), hashing_model("a"), Random(1)).run(stream(1, shop()), reorder=False)
    mark = decode_mark([r for r in logs.topics["state"] if r.key == MARK_KEY][-1].value or b"")
    assert mark.pauses is None
