"""Recordings in, decisions out, byte for byte: a change of behaviour shows here as a readable difference."""

import pytest
from support.replaying import FOLDER, readable, replayed


@pytest.mark.parametrize("name", ["decisions.jsonl", "actions.jsonl", "dead_letters.jsonl"])
def test_the_recording_gives_the_golden_bytes(name: str) -> None:
    """If the change is meant: `.venv/bin/python tests/replay/accept.py`, and look at the difference."""
    golden, made = (FOLDER / name).read_text(), replayed().texts()[name]
    if made != golden:
        pytest.fail(f"{name} has changed:\n{readable(golden.splitlines(), made.splitlines())}", pytrace=False)


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_any_batches_give_the_same_bytes(rows: int) -> None:
    assert replayed(rows=rows) == replayed()


def test_the_golden_run_has_something_of_everything() -> None:
    outcome = replayed()
    decisions = "".join(outcome.decisions)
    assert all(f'"kind":"{trigger}"' in decisions for trigger in ("event", "silence"))
    kinds = {
        kind for kind in ("recommendation", "promotion", "message", "loyalty") if f'"kind":"{kind}"' in decisions
    }
    assert len(kinds) == 4
    assert len(outcome.actions) >= 10
    assert len(set(outcome.dead_letters)) == 12
