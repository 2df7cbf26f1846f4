"""The books balance for a sound world, and any lost, added or altered record is found."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.books_world import (
    CLOCK,
    TOPIC,
    changed_state,
    dead_letter,
    seen_action,
    seen_decision,
    state_of,
    world,
    worlds,
)

from forestay.core.state.contact import Contact
from forestay.core.units import to_datetime
from forestay.demo.books import Books, Evidence, keep_books
from forestay.output_reading import Churn


def failed(books: Books) -> set[str]:
    return {line.name for line in books.lines if not line.balanced}


@given(worlds())
def test_a_sound_world_balances(evidence: Evidence) -> None:
    books = keep_books(evidence)
    assert books.balance, books
    assert books.repeated == 0
    assert all(line.expected == line.found for line in books.lines)


def test_an_action_that_waited_is_owed_from_its_release_on_and_a_contact_since_then() -> None:
    held, release = seen_decision(1, "u", 1_000, "coupon-10"), seen_decision(2, "u", 9_000, "coupon-10")
    waits = held._replace(record=msgspec.structs.replace(held.record, held_until=to_datetime(9_000)))
    goes = release._replace(record=msgspec.structs.replace(release.record, action_id="a1", releases="d1"))
    evidence = world([[(1_000, "coupon-10"), (9_000, None)]], [0], 0, 1)
    state = changed_state(evidence.states["u0"], contacts=[Contact(9_000, "coupon-10")])
    waiting = evidence._replace(states={"u": state}, decisions=[waits, goes], actions=[seen_action(held)])
    assert keep_books(waiting).balance, keep_books(waiting)
    assert failed(keep_books(waiting._replace(actions=[]))) == {
        "decisions to act have their action",
        "actions are remembered by their users' states",
    }


def changed(evidence: Evidence, where: str, records: Sequence[Any]) -> Evidence:
    change: dict[str, Any] = {where: records}
    return evidence._replace(**change)


def without(records: Sequence[Any], index: int) -> list[Any]:
    return [record for number, record in enumerate(records) if number != index]


@given(worlds(), st.data(), st.sampled_from(["decisions", "actions", "dead_letters"]))
def test_a_record_lost_anywhere_is_found(evidence: Evidence, data: st.DataObject, where: str) -> None:
    records = getattr(evidence, where)
    if not records:
        return
    index = data.draw(st.integers(0, len(records) - 1))
    assert not keep_books(changed(evidence, where, without(records, index))).balance


@given(worlds(), st.data(), st.sampled_from(["decisions", "actions", "dead_letters"]))
def test_an_exact_repeat_is_counted_and_a_different_one_is_found(
    evidence: Evidence, data: st.DataObject, where: str
) -> None:
    records = getattr(evidence, where)
    if not records:
        return
    record = records[data.draw(st.integers(0, len(records) - 1))]
    repeated = changed(evidence, where, [*records, record])
    if where == "decisions":
        # A decision repeated after a crash lies on the topic, so the log's end and the mark count it.
        number = record.record.trigger.partition
        mark = evidence.marks[number]
        repeated = repeated._replace(
            log={**evidence.log, number: evidence.log[number] + 1},
            marks={**evidence.marks, number: msgspec.structs.replace(mark, decisions=mark.decisions + 1)},
        )
    books = keep_books(repeated)
    assert books.balance, books
    assert books.repeated == 1

    if where == "dead_letters":
        other = record._replace(digest=b"other")
    else:
        other = record._replace(stamp=record.stamp._replace(digest=b"other"))
    assert "ids with two contents" in failed(keep_books(changed(repeated, where, [*records, other])))


@given(worlds(), st.sampled_from(["decision", "action", "dead letter", "foreign dead letter", "user"]))
def test_a_record_from_nowhere_is_found(evidence: Evidence, what: str) -> None:
    stray = seen_decision(9_999, "stranger", 5, "coupon-10")
    added: dict[str, Evidence] = {
        "decision": evidence._replace(decisions=[*evidence.decisions, stray]),
        "action": evidence._replace(actions=[*evidence.actions, seen_action(stray)]),
        "dead letter": evidence._replace(dead_letters=[*evidence.dead_letters, dead_letter(0, 9_999)]),
        "foreign dead letter": evidence._replace(
            dead_letters=[*evidence.dead_letters, dead_letter(0, 9_999, topic=CLOCK)]
        ),
        "user": evidence._replace(states={**evidence.states, "stranger": state_of(applied=1)}),
    }
    assert not keep_books(added[what]).balance


@given(worlds(), st.data(), st.sampled_from(["lost", "applied", "duplicates", "contact", "score"]))
def test_a_user_whose_state_is_off_is_found(evidence: Evidence, data: st.DataObject, what: str) -> None:
    user = data.draw(st.sampled_from(sorted(evidence.states)))
    state = evidence.states[user]
    if what == "lost":
        states = {name: kept for name, kept in evidence.states.items() if name != user}
    elif what == "contact":
        states = {**evidence.states, user: changed_state(state, contacts=state.contacts[1:])}
        if not state.contacts:
            return
    elif what == "score":
        states = {**evidence.states, user: changed_state(state, scored_ts=10**13)}
    else:
        other = changed_state(state, **{what: getattr(state, what) + 1})
        states = {**evidence.states, user: other}
    assert not keep_books(evidence._replace(states=states)).balance


@given(worlds(), st.data())
def test_a_lost_or_lagging_mark_is_found(evidence: Evidence, data: st.DataObject) -> None:
    number = data.draw(st.sampled_from(sorted(evidence.marks)))
    lost = {name: mark for name, mark in evidence.marks.items() if name != number}
    assert "durable positions are the sources' ends" in failed(keep_books(evidence._replace(marks=lost)))
    mark = evidence.marks[number]
    behind = msgspec.structs.replace(mark, positions={**mark.positions, TOPIC: evidence.source[number] - 1})
    books = keep_books(evidence._replace(marks={**evidence.marks, number: behind}))
    assert "durable positions are the sources' ends" in failed(books)


ACTING = world([[(1_000, "coupon-10"), (2_000, None)]], [1], dead=1, partitions=1)


@pytest.mark.parametrize(
    "churn", [Churn(), Churn(0.5), Churn(rung="model"), Churn(1.5, "model"), Churn(0.5, "oracle")]
)
def test_a_decision_without_score_or_rung_is_found(churn: Churn) -> None:
    first, *rest = ACTING.decisions
    other = first._replace(record=msgspec.structs.replace(first.record, churn=churn))
    assert failed(keep_books(ACTING._replace(decisions=[other, *rest]))) == {"decisions have score and rung"}


@pytest.mark.parametrize(
    "change", [{"action_id": "other"}, {"user_id": "other"}, {"offer_id": "other"}, {"action_id": None}]
)
def test_an_action_its_decision_does_not_name_is_found(change: dict[str, Any]) -> None:
    first, *rest = ACTING.decisions
    other = first._replace(record=msgspec.structs.replace(first.record, **change))
    books = keep_books(ACTING._replace(decisions=[other, *rest]))
    assert "actions have their decision" in failed(books)


def test_what_was_sent_must_be_on_the_topic() -> None:
    books = keep_books(ACTING._replace(sent=ACTING.sent + 2))
    assert failed(books) == {"events sent are on the source topic", "events sent are accounted for"}
    notes = {line.name: line.note for line in books.lines}
    assert notes["events sent are on the source topic"] == "2 missing"
    assert notes["events sent are accounted for"].endswith("2 unaccounted for")


def test_a_record_that_cannot_be_read_fails_the_books_and_is_named() -> None:
    books = keep_books(ACTING._replace(unreadable=["retention-actions-0@7: not JSON"]))
    (line,) = [line for line in books.lines if not line.balanced]
    assert line.name == "records that cannot be read"
    assert "retention-actions-0@7" in line.note


def test_a_failed_line_names_a_few_and_counts_the_rest() -> None:
    users: list[list[tuple[int, str | None]]] = [[(index + 1, "coupon-10")] for index in range(5)]
    evidence = world(users, [0] * 5, dead=0, partitions=1)
    line = next(
        line for line in keep_books(evidence._replace(actions=[])).lines if line.name.startswith("decisions to act")
    )
    assert (line.expected, line.found) == (5, 0)
    assert line.note == "look at d0, d1, d2 and 2 more"
