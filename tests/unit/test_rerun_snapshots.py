"""The state a rerun begins with: damage that a repair has replaced is nothing, other is named with its place."""

import pytest
from support.ledger_world import TOPICS, InMemory

from forestay.core.errors import StateError
from forestay.core.ledger import users_digest
from forestay.core.record import OutputRecord
from forestay.core.state.mark import opening_mark
from forestay.core.state.seal import sealed
from forestay.core.state.state_codec import MARK_KEY, encode_mark
from forestay.rerun.durable import Durable
from forestay.rerun.snapshots import Snapshots
from forestay_schemas import LedgerStart
from forestay_schemas.ledger import Digested

MARK = OutputRecord(MARK_KEY, sealed(MARK_KEY, encode_mark(opening_mark(1))))
WELL = OutputRecord(b"bob", sealed(b"bob", b"\1state"))
DAMAGED = OutputRecord(b"anna", sealed(b"anna", b"\1state")[:-1] + b"x")


def snapshots(*records: OutputRecord) -> Snapshots:
    return Snapshots(InMemory(state=list(records)), TOPICS.state)


@pytest.mark.parametrize("later", [None, sealed(b"anna", b"\1anew")], ids=["tombstone", "record"])
def test_a_damaged_record_that_a_later_one_replaces_is_nothing(later: bytes | None) -> None:
    found = snapshots(WELL, DAMAGED, MARK, OutputRecord(b"anna", later), MARK)
    assert found.mark(0) is not None
    users = {"bob": b"\1state"} | ({} if later is None else {"anna": b"\1anew"})
    assert found.take(0).users == users


def test_a_damaged_mark_that_a_later_one_replaces_is_nothing() -> None:
    damaged = OutputRecord(MARK_KEY, (MARK.value or b"") + b"x")
    assert snapshots(damaged, WELL, MARK).mark(0) is not None


def test_a_damaged_record_that_counts_is_named_with_what_to_do() -> None:
    with pytest.raises(StateError) as caught:
        # What replaces it lies behind the last commit.
        snapshots(WELL, DAMAGED, MARK, OutputRecord(b"anna", None))
    said = str(caught.value)
    assert f"{TOPICS.state}-0@1, the state of user 'anna': its checksum is wrong" in said
    assert "`forestay repair" in said


def test_a_start_that_the_ledger_does_not_lead_to_names_what_else_writes_state() -> None:
    start = LedgerStart.model_validate(
        {
            "kind": "start",
            "partition": 0,
            "generation": 2,
            "clock": None,
            "watermark": None,
            "positions": {"clickstream": 7},
            "decisions": 0,
            "decisions_end": 0,
            "state": Digested(records=3, digest=users_digest({"bob": b"x"}).digest),
            "configuration": "0" * 32,
            "forestay": "0.1.0",
        }
    )
    with pytest.raises(StateError) as caught:
        Durable({"bob": b"y"}).restore(start)
    said = str(caught.value)
    assert "went on with 3 users from clickstream 7" in said
    assert "leads to 1 users, durable up to the beginning" in said
    assert "`forestay repair --write`" in said
    assert "docs/replay.md" in said
    assert "{" not in said
