"""The decisions asked about and their outcomes, found among the values of records."""

import json
from collections.abc import Iterable
from typing import Final, NamedTuple

from pydantic import ValidationError

from forestay.core.errors import ForestayError
from forestay_schemas.decision import Decision
from forestay_schemas.outcome import DecisionOutcome

#: One of these fields is in each record of its kind and in no other of Forestay's topics.
_OUTCOME: Final = b'"matured_at"'
_DECISION: Final = (b'"suppressed"', b'"candidates"')


class Asked(NamedTuple):
    """One decision by its id, or the newest `most` of a user."""

    decision_id: str | None
    user_id: str | None
    most: int = 1


class Found(NamedTuple):
    """Decisions, oldest first, each with its outcome, None where none was read."""

    decisions: list[tuple[Decision, DecisionOutcome | None]]


def find(asked: Asked, values: Iterable[tuple[str, bytes]]) -> Found:
    """Reads all `values` (where each lies, its bytes) and keeps what was asked for; of a repeat the later.

    Raises:
        ForestayError: a record of those asked for breaks its contract.
    """
    needle = _as_written(asked.decision_id or asked.user_id or "")
    decisions: dict[str, Decision] = {}
    outcomes: dict[str, DecisionOutcome] = {}
    for where, value in values:
        # Of millions of records few are worth decoding.
        if needle not in value:
            continue
        if _OUTCOME in value:
            outcome = _outcome(value, where)
            outcomes[outcome.decision_id] = outcome
        elif all(field in value for field in _DECISION):
            decision = _decision(value, where)
            if asked.decision_id == decision.decision_id or asked.user_id == decision.user_id:
                decisions[decision.decision_id] = decision
    kept = sorted(decisions.values(), key=lambda one: (one.decided_at, one.decision_id))[-asked.most :]
    return Found([(one, outcomes.get(one.decision_id)) for one in kept])


def _as_written(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def _decision(value: bytes, where: str) -> Decision:
    try:
        # Fields of a newer version are passed over: what is known of is explained.
        return Decision.model_validate_json(value, extra="ignore")
    except ValidationError as error:
        raise ForestayError(f"{where} is no decision this version can read: {_first(error)}") from error


def _outcome(value: bytes, where: str) -> DecisionOutcome:
    try:
        return DecisionOutcome.model_validate_json(value, extra="ignore")
    except ValidationError as error:
        raise ForestayError(f"{where} is no outcome this version can read: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    told = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, told['loc']))}: {told['msg']}"
