"""Bytes to events: the contract is checked on every record, and what fails says why (design D7)."""

from typing import Final

from pydantic import ValidationError

from forestay.core.errors import DeadLetter
from forestay.core.event import Event, from_contract
from forestay.core.record import Headers, OutputRecord, SourceRecord
from forestay.core.units import MINUTE, to_milliseconds
from forestay_schemas.click_event import ClickEvent
from forestay_schemas.clock_record import ClockRecord
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

#: A record's value may take this many bytes: a megabyte is Kafka's own default bound.
MAX_VALUE_BYTES: Final = 1_048_576
#: An event may lie this far ahead of its record's Kafka timestamp (milliseconds): clocks of phones are
#: minutes wrong; one event of the year 2099 would declare every user silent.
MAX_FUTURE: Final = 15 * MINUTE
#: Key, value and headers of a dead letter may take this many bytes together: what a broker takes by default
#: (1,048,588 for a whole batch), less room for our own headers and the batch.
MAX_DEAD_LETTER_BYTES: Final = 1_000_000
_CUT_KEY_BYTES: Final = 1_000
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
    _check_future(event.ts, record)
    if currency is not None and click.currency is not None and click.currency != currency:
        raise DeadLetter("other_currency", f"currency is {click.currency}, the shop's is {currency}")
    return event


def decode_clock(record: SourceRecord) -> int:
    """Returns the event time a clock record announces, in milliseconds.

    Raises:
        DeadLetter: the record breaks its contract, or lies in the future.
    """
    try:
        ts = to_milliseconds(ClockRecord.model_validate_json(record.value or b"").ts)
    except ValidationError as error:
        raise DeadLetter(*describe(error)) from error
    _check_future(ts, record)
    return ts


def _check_future(ts: int, record: SourceRecord) -> None:
    """Checks a moment against its record's and the end of the calendar: timestamps of records can be wrong too."""
    if ts > MAX_EPOCH_MILLISECONDS:
        raise DeadLetter("in_the_future", "ts is later than the calendar can hold")
    if ts > record.timestamp + MAX_FUTURE:
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
    """Returns the record for the dead-letter topic: its bytes untouched, coordinates and reason as headers.

    Only a record too large for any topic but its own is cut, and says so in the header `forestay-cut`: the
    whole still lies at its coordinates. A dead letter that no broker takes would stop the line for good.
    """
    key, value, headers = _fitting(record)
    return OutputRecord(
        key,
        value,
        [
            *headers,
            ("forestay-error", problem.code.encode()),
            ("forestay-reason", str(problem).encode()),
            ("forestay-topic", record.topic.encode()),
            ("forestay-partition", str(record.partition).encode()),
            ("forestay-offset", str(record.offset).encode()),
        ],
    )


def _fitting(record: SourceRecord) -> tuple[bytes | None, bytes | None, Headers]:
    """Returns key, value and headers, cut to `MAX_DEAD_LETTER_BYTES` together if they are larger."""
    key, value = record.key, record.value
    headers_size = sum(len(name) + len(content or b"") for name, content in record.headers)
    size = headers_size + len(key or b"") + len(value or b"")
    if size <= MAX_DEAD_LETTER_BYTES:
        return key, value, record.headers
    key = None if key is None else key[:_CUT_KEY_BYTES]
    value = None if value is None else value[: MAX_DEAD_LETTER_BYTES - _CUT_KEY_BYTES]
    return key, value, [("forestay-cut", f"{size} bytes of key, value and headers".encode())]
