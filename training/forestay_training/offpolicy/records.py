"""Decisions and their outcomes from recordings, or from files with one record a line."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from forestay.core.errors import ForestayError
from forestay.recording.values import record_values
from forestay_schemas.types import GroupedBy, Rung, TriggerKind

_EVERY: Final = 10_000


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """What could be chosen, and with what probability; an offer of None is 'do nothing'."""

    offer_id: str | None
    propensity: Annotated[float, msgspec.Meta(ge=0, le=1)]


class Cut(msgspec.Struct, frozen=True, gc=False):
    """An offer a guardrail removed."""

    offer_id: str


class Cause(msgspec.Struct, frozen=True, gc=False):
    """What made the user worth a decision."""

    kind: TriggerKind


class Score(msgspec.Struct, frozen=True, gc=False):
    """The probability that the user leaves."""

    probability: float
    rung: Rung = Rung.MODEL
    version: str = ""


class Group(msgspec.Struct, frozen=True, gc=False):
    """The group by which candidates bore a price of parity."""

    by: GroupedBy
    group: str


class Decided(msgspec.Struct, frozen=True, gc=False):
    """The fields of a decision that a policy is judged by: a tenth of the memory of the whole."""

    decision_id: str
    user_id: str
    decided_at: datetime
    trigger: Cause
    churn: Score
    holdout: bool
    candidates: tuple[Candidate, ...]
    suppressed: tuple[Cut, ...]
    offer_id: str | None
    features: dict[str, float]
    embedding: tuple[float, ...] = ()
    parity: Group | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of a decision: the fields that are needed of `retention-outcomes`.

    `complete` is false where it was closed before its horizon ended.
    """

    decision_id: str
    function: str
    reward: float
    complete: bool = True
    horizon_days: float = 28.0


_DECIDED: Final = msgspec.json.Decoder(Decided)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class Records(NamedTuple):
    """Decisions and outcomes by the decision's id; the later of two is kept, and `repeats` counts them."""

    decisions: dict[str, Decided]
    outcomes: dict[str, Outcome]
    repeats: int


def read_records(paths: Iterable[Path], done: Callable[[int], None] = lambda _records: None) -> Records:
    """Reads recordings (files, folders) and JSON lines; whatever is neither decision nor outcome is passed over.

    Raises:
        ForestayError: a file is neither, is damaged, or holds a record that breaks its contract.
        OSError: a file cannot be read.
    """
    decisions: dict[str, Decided] = {}
    outcomes: dict[str, Outcome] = {}
    repeats = 0
    for number, (where, value) in enumerate(record_values(paths)):
        if number % _EVERY == 0:
            done(number)
        # One of these fields is in each record of its kind and in no other of Forestay's topics.
        if b'"matured_at"' in value:
            outcome = outcome_of(value, where)
            repeats += outcome.decision_id in outcomes
            outcomes[outcome.decision_id] = outcome
        elif b'"suppressed"' in value and b'"candidates"' in value:
            decision = decision_of(value, where)
            repeats += decision.decision_id in decisions
            decisions[decision.decision_id] = decision
    return Records(decisions, outcomes, repeats)


def decision_of(value: bytes, where: str) -> Decided:
    """Returns a decision as its topic has it; `where` names it in the error.

    Raises:
        ForestayError: it is none.
    """
    try:
        return _DECIDED.decode(value)
    except msgspec.DecodeError as error:
        raise ForestayError(f"{where} is no decision: {error}") from error


def outcome_of(value: bytes, where: str) -> Outcome:
    """Returns an outcome as its topic has it; `where` names it in the error.

    Raises:
        ForestayError: it is none.
    """
    try:
        return _OUTCOME.decode(value)
    except msgspec.DecodeError as error:
        raise ForestayError(f"{where} is no outcome of a decision: {error}") from error
