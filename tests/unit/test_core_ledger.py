"""The ledger: digests that tell any two outputs apart, and entries that say what a batch took."""

from hypothesis import given
from hypothesis import strategies as st
from support.builders import DIGEST, MODEL, START, TOPIC, partition, stream
from support.builders import click as clicked

from forestay.core.event import NEVER
from forestay.core.ledger import Found, Ledger, Taken, digest, users_digest
from forestay.core.record import OutputRecord
from forestay_schemas import LedgerBatch, LedgerCommit, LedgerRecord, LedgerStart

BYTES = st.none() | st.binary(max_size=3)
HEADERS = st.lists(st.tuples(st.text(max_size=2), BYTES), max_size=2)
RECORDS = st.lists(st.builds(OutputRecord, BYTES, BYTES, HEADERS), max_size=4)


def read(records: list[OutputRecord]) -> list[LedgerStart | LedgerBatch | LedgerCommit]:
    return [LedgerRecord.model_validate_json(record.value or b"").root for record in records]


@given(RECORDS, RECORDS)
def test_two_outputs_have_the_same_digest_only_if_they_are_the_same(
    one: list[OutputRecord], other: list[OutputRecord]
) -> None:
    assert (digest(one) == digest(other)) == (one == other)


def test_where_keys_values_and_headers_end_is_in_the_digest() -> None:
    alike = [
        [OutputRecord(b"ab", b"c")],
        [OutputRecord(b"a", b"bc")],
        [OutputRecord(b"abc", b"")],
        [OutputRecord(b"abc", None)],
        [OutputRecord(None, b"abc")],
        [OutputRecord(b"a", b"b", [("c", b"")])],
        [OutputRecord(b"a", b"b", [("c", None)])],
        [OutputRecord(b"a", b"b", [("", b"c")])],
        [OutputRecord(b"a", b"b"), OutputRecord(b"c", b"")],
    ]
    assert len({digest(records) for records in alike}) == len(alike)


def test_a_batch_says_what_it_took_and_made_and_the_commit_what_state_came_of_it() -> None:
    core = partition()
    ledger = Ledger(core, 3, DIGEST)
    ledger.start(Found(users_digest({"u1": b"r"}), range(2, 5)), "0.1")
    applied = core.apply(TOPIC, stream(clicked("e1"), b"broken", clicked("e2", ts=START + 5)), START + 10)
    decided = [
        OutputRecord(b"u1", one.model_dump_json().encode())
        for one in core.settle(applied.situations, {}, MODEL).decisions
    ]
    made = {"decisions": decided, "actions": [], "dead_letters": applied.dead_letters}
    ledger.batch(Taken(TOPIC, 0, 3, more=False, now=START + 10), MODEL, made)
    state = core.checkpoint(7, 3)
    start, batch, commit = read(ledger.commit(7, state))
    assert isinstance(start, LedgerStart)
    assert isinstance(batch, LedgerBatch)
    assert isinstance(commit, LedgerCommit)
    assert (start.positions, start.decisions, start.decisions_end, start.clock) == ({}, 2, 5, None)
    assert (batch.topic, batch.begin, batch.end, batch.more, batch.configuration) == (TOPIC, 0, 3, False, DIGEST)
    assert {role: one.records for role, one in batch.made.items()} == {"decisions": len(decided), "dead_letters": 1}
    assert batch.made["decisions"].digest == digest(decided)
    assert (commit.positions, commit.decisions, commit.generation) == ({TOPIC: 3}, 7, 3)
    assert (commit.state.records, commit.state.digest) == (1, digest(state[:-1]))


def test_users_have_one_digest_in_any_order_and_another_with_any_change() -> None:
    users = {"u1": b"ab", "u2": b"", "u": b"1ab"}
    assert users_digest(dict(reversed(users.items()))) == users_digest(users)
    others = [
        users | {"u2": b"x"},
        users | {"u3": b""},
        {"u1": b"ab", "u2": b""},
        {"u1a": b"b", "u2": b"", "u": b"1ab"},
    ]
    assert len({users_digest(one).digest for one in (users, *others)}) == 5


def test_a_clock_that_was_not_told_is_null_and_entries_are_handed_out_once() -> None:
    core = partition()
    ledger = Ledger(core, 1, DIGEST)
    ledger.batch(Taken(TOPIC, 4, 4, more=True, now=NEVER), MODEL, {})
    batch, _ = read(ledger.commit(0, []))
    assert isinstance(batch, LedgerBatch)
    assert (batch.now, batch.clock, batch.more, batch.made) == (None, None, True, {})
    assert len(ledger.commit(0, [])) == 1
