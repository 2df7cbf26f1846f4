"""Checks lines against the contract and produces them."""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from kafka import KafkaProducer
from pydantic import ValidationError

from forestay.core.decoding.decode import describe
from forestay.core.errors import ForestayError
from forestay.settings import Settings
from forestay.shell.permissions import Part, check_allowed, needed
from forestay.shell.topics import patient_options
from forestay_schemas import ClickEvent

#: How a recording in JSON lines begins; one in Parquet begins with PAR1.
_RECORDING: Final = b'{"format":"forestay-recording"'


class BadLine(NamedTuple):
    """A line that breaks the contract, counted from 1, and why."""

    number: int
    reason: str


class Outcome(NamedTuple):
    """How many records were sent, and which lines break the contract (sent all the same with `as_is`)."""

    sent: int
    left_out: list[BadLine]


def send_lines(settings: Settings, file: str, *, as_is: bool) -> Outcome:
    """Sends the events in `file` (`-` for stdin); returns once the broker has all of them.

    Raises:
        ForestayError: the broker refused a record, or the file is a recording.
        OSError: the file cannot be read.
        kafka.errors.KafkaError: no broker answers.
    """
    # The file first: one that is not there should not wait for a broker.
    with _opened(file) as lines, contextlib.closing(_producer(settings)) as producer:
        return _send(producer, settings.topics.clickstream, lines, as_is=as_is)


def _producer(settings: Settings) -> KafkaProducer:
    check_allowed(settings.kafka, needed(Part.SEND, settings))
    return KafkaProducer(**patient_options(settings.kafka), acks="all")


def _send(producer: KafkaProducer, topic: str, lines: Iterable[bytes], *, as_is: bool) -> Outcome:
    refused: list[BaseException] = []
    bad: list[BadLine] = []
    sent = 0
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if not line:
            continue
        reason, key = check(line)
        if reason is not None:
            bad.append(BadLine(number, reason))
        if reason is None or as_is:
            producer.send(topic, key=key, value=line).add_errback(refused.append)
            sent += 1
    producer.flush()
    if refused:
        raise ForestayError(f"the broker refused {len(refused)} of {sent} records: {refused[0]}")
    return Outcome(sent, bad)


def check(line: bytes) -> tuple[str | None, bytes | None]:
    """Returns why `line` breaks the contract (None: it does not), and its key: the user's id, if it names one."""
    try:
        return None, ClickEvent.model_validate_json(line).user_id.encode()
    except ValidationError as error:
        return describe(error)[1], _user_of(line)


def _user_of(line: bytes) -> bytes | None:
    try:
        user = json.loads(line)["user_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return user.encode(errors="replace") if isinstance(user, str) else None


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as lines:
        start = lines.read(len(_RECORDING))
        if start.startswith(b"PAR1") or start == _RECORDING:
            raise ForestayError(f"{file} is a recording: send it with `forestay replay {file}`")
        lines.seek(0)
        yield lines
