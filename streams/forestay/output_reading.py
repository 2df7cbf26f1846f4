"""Records of the output topics as an onlooker reads them: the fields the books and the report need.

Reading is lenient where the books are to judge: a decision without a score is read, then found wanting.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from forestay_schemas.types import ActionKind, TriggerKind


class Trigger(msgspec.Struct, frozen=True):
    """The record that caused a decision."""

    kind: TriggerKind
    topic: str
    partition: int
    offset: int


class Churn(msgspec.Struct, frozen=True):
    """The score; what is missing stays None for the books to find."""

    probability: float | None = None
    rung: str | None = None
    horizon_days: int | None = None
    model: str | None = None
    version: str | None = None


class Reason(msgspec.Struct, frozen=True):
    """A coded reason and its sentence."""

    code: str
    text: str


class Suppressed(msgspec.Struct, frozen=True):
    """An offer a guardrail removed."""

    offer_id: str
    code: str


class Decision(msgspec.Struct, frozen=True):
    """A decision as it stands on its topic."""

    decision_id: str
    user_id: str
    decided_at: datetime
    trigger: Trigger
    churn: Churn = Churn()
    holdout: bool = False
    suppressed: tuple[Suppressed, ...] = ()
    offer_id: str | None = None
    action_id: str | None = None
    held_until: datetime | None = None
    releases: str | None = None


class Action(msgspec.Struct, frozen=True):
    """An action as it stands on its topic."""

    action_id: str
    decision_id: str
    user_id: str
    decided_at: datetime
    kind: ActionKind
    offer_id: str
    channel: str
    cost: float
    trigger: Trigger
    churn: Churn = Churn()
    reasons: tuple[Reason, ...] = ()
    payload: dict[str, Any] = {}


class Stamp(NamedTuple):
    """What surrounds a record: a digest of its bytes, its Kafka time and when it was read, in epoch ms."""

    digest: bytes
    timestamp: int
    arrived: int


class SeenDecision(NamedTuple):
    """A decision with its stamp."""

    record: Decision
    stamp: Stamp


class SeenAction(NamedTuple):
    """An action with its stamp."""

    record: Action
    stamp: Stamp


class SeenDeadLetter(NamedTuple):
    """A dead letter: source coordinates, the coded and the readable reason, and a digest of the whole."""

    topic: str
    partition: int
    offset: int
    code: str
    reason: str
    digest: bytes


class Unreadable(ValueError):  # noqa: N818 - it describes the record
    """A record of an output topic that is not what the topic holds."""


_decode_decision = msgspec.json.Decoder(Decision).decode
_decode_action = msgspec.json.Decoder(Action).decode
_MISSING: Final = "is missing"
_T = TypeVar("_T")


def read_decision(value: bytes | None, timestamp: int, arrived: int) -> SeenDecision:
    """Returns the decision in `value`.

    Raises:
        Unreadable: it is none.
    """
    return SeenDecision(_decoded(_decode_decision, value), Stamp(digest(value), timestamp, arrived))


def read_action(value: bytes | None, timestamp: int, arrived: int) -> SeenAction:
    """Returns the action in `value`.

    Raises:
        Unreadable: it is none.
    """
    return SeenAction(_decoded(_decode_action, value), Stamp(digest(value), timestamp, arrived))


def _decoded(decode: Callable[[bytes], _T], value: bytes | None) -> _T:
    try:
        return decode(value or b"")
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from error


def read_dead_letter(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> SeenDeadLetter:
    """Returns where a dead letter came from and why it is one.

    Raises:
        Unreadable: a header with its coordinates or its reason is missing or damaged.
    """
    # A record may carry headers of its own under these names: ours come last.
    named = dict(headers)

    def text(name: str) -> str:
        found = named.get(f"forestay-{name}")
        if found is None:
            raise Unreadable(f"header forestay-{name} {_MISSING}")
        return found.decode(errors="replace")

    try:
        partition, offset = int(text("partition")), int(text("offset"))
    except ValueError as error:
        raise Unreadable(str(error)) from error
    return SeenDeadLetter(
        text("topic"), partition, offset, text("error"), text("reason"), digest(key) + digest(value)
    )


def digest(content: bytes | None) -> bytes:
    """Returns 16 bytes that name `content`; nothing and empty differ."""
    return b"\x00" * 16 if content is None else blake2b(content, digest_size=16).digest()
