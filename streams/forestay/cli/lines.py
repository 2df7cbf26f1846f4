"""One record as one line: for people in words, for machines as JSON."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from forestay.cli.console import printable
from forestay.output_reading import Action, Decision, Unreadable, read_action, read_dead_letter, read_decision

#: How much of a dead letter's value a line shows (characters).
_VALUE: Final = 160


def as_json_line(what: str, record: Any) -> str:
    """Returns a JSON line: actions and decisions as they are, dead letters with coordinates and reason."""
    if what == "dead-letters":
        return json.dumps(_dead_letter(record), ensure_ascii=False)
    return (record.value or b"null").decode(errors="replace").replace("\n", " ")


def as_text(what: str, record: Any) -> Text:
    """Returns a line for people; a record that is not what the topic holds is shown as such."""
    describe: Callable[[Any], Text] = {
        "actions": _action_line,
        "decisions": _decision_line,
        "dead-letters": _dead_letter_line,
    }[what]
    try:
        return describe(record)
    except Unreadable as error:
        where = f"{record.topic}-{record.partition}@{record.offset}"
        return Text(f"{where} cannot be read: {printable(str(error))}", style="red")


def _action_line(record: Any) -> Text:
    action = read_action(record.value, record.timestamp, record.timestamp).record
    return Text.assemble(
        (f"{_moment(action.decided_at)}  ", "dim"),
        f"{printable(action.user_id)}  ",
        (f"{action.kind} {printable(action.offer_id)}", "bold green"),
        f" by {printable(action.channel)}, cost {action.cost:.2f}: {reasons(action)}",
    )


def reasons(action: Action) -> str:
    """Returns an action's reasons as one sentence."""
    return "; ".join(printable(reason.text) for reason in action.reasons)


def _decision_line(record: Any) -> Text:
    decision = read_decision(record.value, record.timestamp, record.timestamp).record
    churn = decision.churn
    chance = "no score" if churn.probability is None else f"{churn.probability:6.1%}"
    return Text.assemble(
        (f"{_moment(decision.decided_at)}  ", "dim"),
        f"{printable(decision.user_id)}  {chance} by {churn.rung or 'no rung'} after {decision.trigger.kind}: ",
        (_choice(decision), "bold green" if decision.offer_id else "dim"),
    )


def _choice(decision: Decision) -> str:
    if decision.offer_id is not None:
        return printable(decision.offer_id)
    if decision.holdout:
        return "nothing, in the holdout"
    codes = sorted({suppressed.code for suppressed in decision.suppressed})
    return f"nothing ({printable(', '.join(codes))})" if codes else "nothing"


def _dead_letter_line(record: Any) -> Text:
    letter = read_dead_letter(record.key, record.value, record.headers)
    value = "no value" if record.value is None else printable(record.value.decode(errors="backslashreplace"))
    return Text.assemble(
        (f"{printable(letter.topic)}-{letter.partition}@{letter.offset}  ", "dim"),
        (f"{printable(letter.code)}: ", "bold red"),
        f"{printable(letter.reason)}  ",
        (value[:_VALUE] + ("…" if len(value) > _VALUE else ""), "dim"),
    )


def _dead_letter(record: Any) -> dict[str, Any]:
    headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
    found: dict[str, Any] = {
        name: headers.get(f"forestay-{name}") for name in ("error", "reason", "topic", "partition", "offset")
    }
    for name in ("partition", "offset"):
        number = found[name]
        found[name] = int(number) if number is not None and number.isdigit() else None
    return found | _as_json("key", record.key) | _as_json("value", record.value)


def _as_json(name: str, content: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(content or b"").decode()}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
