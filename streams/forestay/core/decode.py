"""Bytes to events: the contract is checked on every record, and what fails says why (design D7)."""

from typing import Final

from pydantic import ValidationError

from forestay.core.errors import DeadLetter
from forestay.core.event import Event, from_contract
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.units import MINUTE, to_milliseconds
from forestay_schemas.click_event import ClickEvent
from forestay_schemas.clock_record import ClockRecord
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

#: A record's value may take this many bytes: a megabyte is Kafka's own default bound.
MAX_VALUE_BYTES: Final = 1_048_576
#: An event may lie this far ahead of its record's Kafka timestamp (milliseconds): clocks of phones are
#: minutes wrong; one event of the year 2099 would declare every user silent.
MAX_FUTURE: Final = 15 * MINUTE
#: A reason is cut here (characters): it travels in a header.
_MAX_REASON: Final = 500


def decode_click(record: SourceRecord, currency: str | None) -> Event:
    """Returns the event in `record`.

    Raises:
        DeadLetter: the record breaks its contract, its key is not its user, it lies in the future, or it is
            in another currency than `currency` (the shop's; None: amounts are summed as they come).
    """
    value = record.value
    if value is None:
        raise DeadLetter("no_value", "the record has no value (a tombstone); erasure goes to privacy-requests")
    if len(value) > MAX_VALUE_BYTES:
        raise DeadLetter("too_large", f"the value has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
    try:
        click = ClickEvent.model_validate_json(value)
    except ValidationError as error:
        raise DeadLetter(*describe(error)) from error
    if record.key != click.user_id.encode():
        raise DeadLetter("wrong_key", "the record's key is not its user_id in UTF-8: key the topic by user")
    event = from_contract(click)
    _check_future(event.ts, record.timestamp + MAX_FUTURE)
    if currency is not None and click.currency is not None and click.currency != currency:
        raise DeadLetter("other_currency", f"currency is {click.currency}, the shop's is {currency}")
    return event


def decode_clock(record: SourceRecord) -> int:
    """Returns the event time a clock record announces, in milliseconds.

    Raises:
        DeadLetter: the record breaks its contract, or lies beyond the calendar.
    """
    try:
        ts = to_milliseconds(ClockRecord.model_validate_json(record.value or b"").ts)
    except ValidationError as error:
        raise DeadLetter(*describe(error)) from error
    _check_future(ts, MAX_EPOCH_MILLISECONDS)
    return ts


def _check_future(ts: int, latest: int) -> None:
    """Checks a moment against `latest` and the end of the calendar: timestamps of records can be wrong too."""
    if ts > MAX_EPOCH_MILLISECONDS:
        raise DeadLetter("in_the_future", "ts is later than the calendar can hold")
    if ts > latest:
        raise DeadLetter("in_the_future", "ts is more than 15 minutes after the record's own timestamp")


def describe(error: ValidationError) -> tuple[str, str]:
    """Returns a code and a readable reason for a failed validation; the values themselves are left out."""
    first, *rest = error.errors(include_url=False, include_context=False, include_input=False)
    code = "not_json" if first["type"] == "json_invalid" else "contract"
    where = ".".join(str(part) for part in first["loc"])
    reason = f"{where}: {first['msg']}" if where else first["msg"]
    if rest:
        reason += f" (and {len(rest)} more)"
    return code, reason[:_MAX_REASON]


def dead_letter(record: SourceRecord, problem: DeadLetter) -> OutputRecord:
    """Returns the record for the dead-letter topic: its bytes untouched, coordinates and reason as headers."""
    headers = (
        *record.headers,
        ("forestay-error", problem.code.encode()),
        ("forestay-reason", str(problem).encode()),
        ("forestay-topic", record.topic.encode()),
        ("forestay-partition", str(record.partition).encode()),
        ("forestay-offset", str(record.offset).encode()),
    )
    return OutputRecord(record.key, record.value, headers)
