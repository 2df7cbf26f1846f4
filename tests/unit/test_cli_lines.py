"""Records as lines: for people, for machines, and never for the terminal to obey."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from forestay.cli.console import printable
from forestay.cli.lines import as_json_line, as_text
from forestay.cli.sending import check

DECISION = {
    "decision_id": "d1",
    "user_id": "u1",
    "decided_at": "2010-03-01T12:00:00.000Z",
    "trigger": {"kind": "silence", "topic": "clickstream", "partition": 1, "offset": 7},
    "churn": {"probability": 0.405, "rung": "model"},
    "holdout": False,
    "suppressed": [{"offer_id": "a", "code": "cooldown"}, {"offer_id": "b", "code": "cooldown"}],
    "offer_id": None,
    "action_id": None,
}
ACTION = {
    **{name: DECISION[name] for name in ("decision_id", "user_id", "decided_at", "trigger", "churn")},
    "action_id": "a1",
    "kind": "loyalty",
    "offer_id": "points-500",
    "channel": "app",
    "cost": 2.5,
    "reasons": [{"code": "churn_risk", "text": "likely to leave"}, {"code": "silence", "text": "silent for 30 days"}],
}
HEADERS = [("forestay-error", b"contract"), ("forestay-reason", b"price: wrong"), ("forestay-topic", b"clickstream")]
HEADERS += [("forestay-partition", b"2"), ("forestay-offset", b"33")]


def record(value: Any, **more: Any) -> SimpleNamespace:
    content = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    fields = {"topic": "t", "partition": 0, "offset": 5, "timestamp": 0, "key": b"u1", "headers": []}
    return SimpleNamespace(**(fields | {"value": content} | more))


def test_an_action_says_what_for_how_much_and_why() -> None:
    assert as_text("actions", record(ACTION)).plain == (
        "2010-03-01 12:00:00  u1  loyalty points-500 by app, cost 2.50: likely to leave; silent for 30 days"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "u1   40.5% by model after silence: nothing (cooldown)"),
        ({"holdout": True}, "nothing, in the holdout"),
        ({"suppressed": []}, "after silence: nothing"),
        ({"offer_id": "points-500", "action_id": "a1"}, "after silence: points-500"),
        ({"churn": {}}, "u1  no score by no rung"),
    ],
)
def test_a_decision_says_the_chance_and_the_choice(change: dict[str, Any], said: str) -> None:
    assert said in as_text("decisions", record(DECISION | change)).plain


def test_a_dead_letter_says_where_why_and_what() -> None:
    line = as_text("dead-letters", record(b'{"price": "x"}', headers=HEADERS)).plain
    assert line == 'clickstream-2@33  contract: price: wrong  {"price": "x"}'
    assert as_text("dead-letters", record(None, headers=HEADERS)).plain.endswith("no value")
    assert as_text("dead-letters", record(b"x" * 999, headers=HEADERS)).plain.endswith("x…")


@pytest.mark.parametrize("what", ["actions", "decisions", "dead-letters"])
def test_a_record_that_cannot_be_read_is_shown_as_such(what: str) -> None:
    assert as_text(what, record(b"\x1b[2Jnonsense")).plain.startswith("t-0@5 cannot be read: ")


def test_no_record_steers_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x1b[31m"
    for what, value in (("actions", ACTION), ("decisions", DECISION)):
        assert "\x1b" not in as_text(what, record(value | {"user_id": evil})).plain
    letter = as_text("dead-letters", record(evil.encode() + b"\xff\n", headers=HEADERS)).plain
    assert letter.isprintable()
    assert printable("Käse\t\x1b") == "Käse\\t\\x1b"


def test_machines_get_a_line_of_json_a_record() -> None:
    assert json.loads(as_json_line("actions", record(ACTION))) == ACTION
    letter = json.loads(as_json_line("dead-letters", record(b"\xff", headers=HEADERS)))
    assert letter == {
        "error": "contract",
        "reason": "price: wrong",
        "topic": "clickstream",
        "partition": 2,
        "offset": 33,
        "key": "u1",
        "value_base64": "/w==",
    }
    assert json.loads(as_json_line("dead-letters", record(None, key=None)))["value"] is None


@pytest.mark.parametrize(
    ("line", "key", "sound"),
    [
        (b'{"event_id": "e", "user_id": "u", "event": "login", "ts": 1}', b"u", True),
        (b'{"event_id": "e", "user_id": "u", "event": "dance", "ts": 1}', b"u", False),
        (b'{"user_id": 7}', None, False),
        (b"[1]", None, False),
        (b"nonsense", None, False),
        (b"\xff", None, False),
    ],
)
def test_a_line_is_checked_and_keyed_by_its_user(line: bytes, key: bytes | None, sound: bool) -> None:
    reason, found = check(line)
    assert (reason is None, found) == (sound, key)
