"""The oracle's reading of the ledger: what is durable took every record once, and made what is there."""

import json
from typing import Any

import pytest
from support.chaos_world import SENT_AT, Read

from forestay_chaos.oracle_ledger import check_ledger
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.verdict import Verdict

Entry = dict[str, Any]


def start(position: int, taken: tuple[int, int] = (0, 0)) -> Entry:
    positions = {"clickstream": position} if position else {}
    return {"kind": "start", "positions": positions, "decisions": taken[0], "decisions_end": taken[1]}


def batch(begin: int, end: int, decisions: int = 0) -> Entry:
    made = {"decisions": {"records": decisions}} if decisions else {}
    return {"kind": "batch", "topic": "clickstream", "begin": begin, "end": end, "made": made}


COMMIT: Entry = {"kind": "commit"}


def records(topic: str, values: list[bytes]) -> list[ReadRecord]:
    return [ReadRecord(topic, 0, offset, SENT_AT, b"u", value, ()) for offset, value in enumerate(values)]


def found(*entries: Entry, events: int = 10, decisions: int = 0) -> list[str]:
    read: Read = {
        "clickstream": records("clickstream", [b"{}"] * events),
        "clock": [],
        "identity": [],
        "budget": [],
        "dead_letters": [],
        "decisions": records("decisions", [b"{}"] * decisions),
        "ledger": records("ledger", [json.dumps({"partition": 0, **entry}).encode() for entry in entries]),
    }
    verdict = Verdict()
    check_ledger(read, verdict)
    assert verdict.ledger_wrong == len(verdict.findings)
    return verdict.findings


def test_of_a_whole_ledger_it_finds_nothing() -> None:
    assert found(start(0), batch(0, 4, 2), COMMIT, batch(4, 10, 1), COMMIT, decisions=3) == []


def test_what_a_crash_undid_counts_once() -> None:
    lost = (batch(4, 7, 1), batch(7, 10))
    again = (start(4, (2, 3)), batch(4, 10), COMMIT)
    assert found(start(0), batch(0, 4, 2), COMMIT, *lost, *again, decisions=3) == []


def test_a_commit_whose_state_was_not_written_is_undone_too() -> None:
    assert found(start(0), batch(0, 10, 3), COMMIT, start(0, (0, 3)), batch(0, 10), COMMIT, decisions=3) == []


def test_decisions_are_taken_as_made_by_the_last_of_two_who_started_in_vain() -> None:
    entries = (start(0), start(0, (0, 1)), start(0, (0, 2)), batch(0, 10, 1), COMMIT, start(10, (3, 3)))
    assert found(*entries, decisions=3) == []


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ((start(0), batch(0, 4), batch(5, 10)), "nobody took 4 to 5"),
        ((start(0), batch(0, 4), batch(3, 10)), "3 to 4 was taken twice"),
        ((start(0), batch(0, 9)), "nobody took what is behind 9"),
        ((start(0), batch(0, 10, 1)), "1 decisions, not 0"),
    ],
)
def test_it_finds(entries: tuple[Entry, ...], what: str) -> None:
    (finding,) = found(*entries)
    assert what in finding


def test_a_partition_that_nobody_wrote_a_ledger_of_is_found() -> None:
    (finding,) = found()
    assert "nobody took what is behind 0" in finding


def test_a_run_whose_ledger_was_not_read_has_nothing_to_hold() -> None:
    verdict = Verdict()
    check_ledger({"clickstream": records("clickstream", [b"{}"])}, verdict)
    assert verdict.findings == []
