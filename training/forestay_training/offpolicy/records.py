"""Decisions and their outcomes from recordings, or from files with one record a line."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from pydantic import ValidationError

from forestay.core.errors import ForestayError
from forestay.recording import open_recording
from forestay_schemas.decision import Decision

#: A recording's first line of JSON holds this; a file of records does not.
_RECORDING: Final = b'"forestay-recording"'
_LOOK: Final = 65_536
#: A line longer than this is no record, but a file of another kind.
_LONGEST: Final = 4_000_000
_EVERY: Final = 10_000


class Outcome(msgspec.Struct, frozen=True):
    """What came of a decision by the end of its horizon: the fields that are needed of `retention-outcomes`."""

    decision_id: str
    user_id: str
    matured_at: str
    function: str
    reward: float


class Records(NamedTuple):
    """Decisions and outcomes by the decision's id; the later of two is kept, and `repeats` counts them."""

    decisions: dict[str, Decision]
    outcomes: dict[str, Outcome]
    repeats: int


def read_records(paths: Iterable[Path], done: Callable[[int], None] = lambda _records: None) -> Records:
    """Reads recordings (files, folders) and JSON lines; whatever is neither decision nor outcome is passed over.

    Raises:
        ForestayError: a file is neither, is damaged, or holds a record that breaks its contract.
        OSError: a file cannot be read.
    """
    decisions: dict[str, Decision] = {}
    outcomes: dict[str, Outcome] = {}
    repeats = 0
    for number, (where, value) in enumerate(_values(paths)):
        if number % _EVERY == 0:
            done(number)
        # One of these fields is in each record of its kind and in no other of Forestay's topics.
        if b'"matured_at"' in value:
            outcome = _outcome(value, where)
            repeats += outcome.decision_id in outcomes
            outcomes[outcome.decision_id] = outcome
        elif b'"suppressed"' in value and b'"candidates"' in value:
            decision = _decision(value, where)
            repeats += decision.decision_id in decisions
            decisions[decision.decision_id] = decision
    return Records(decisions, outcomes, repeats)


def _values(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        if path.is_dir() or _is_recording(path):
            for message in open_recording(path):
                if message.value is not None:
                    yield f"{path}: {message.topic}-{message.partition} at {message.offset}", message.value
            continue
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), start=1):
                if line.strip():
                    yield f"{path}: line {number}", line


def _is_recording(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_LOOK)
    return start.startswith(b"PAR1") or _RECORDING in start.partition(b"\n")[0]


def _decision(value: bytes, where: str) -> Decision:
    try:
        return Decision.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise ForestayError(f"{where} is no decision of this version: {field}: {first['msg']}") from error


def _outcome(value: bytes, where: str) -> Outcome:
    try:
        return msgspec.json.decode(value, type=Outcome)
    except msgspec.DecodeError as error:
        raise ForestayError(f"{where} is no outcome of a decision: {error}") from error
