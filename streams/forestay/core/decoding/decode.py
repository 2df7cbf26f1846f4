"""Bytes to events: the contract is checked on every record, and what fails says why (design D7)."""

from typing import Final

from mypy_extensions import i64
from pydantic import ValidationError

from forestay.core.decoding.fast_decode import fast_event
from forestay.core.decoding.flat_decode import COMPILED, flat_event
from forestay.core.decoding.values import ValueDecoder
from forestay.core.errors import DeadLetter
from forestay.core.event import NEVER, Event, from_contract
from forestay.core.record import Headers, OutputRecord, Record
from forestay.core.rules import Rules
from forestay.core.units import to_milliseconds
from forestay_schemas.click_event import ClickEvent
from forestay_schemas.clock_record import ClockRecord
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

#: A record's value may take this many bytes: a megabyte is Kafka's own default bound.
MAX_VALUE_BYTES: Final = 1_048_576
#: An event may lie this far ahead of its record's Kafka timestamp (milliseconds): clocks of phones are
#: minutes wrong; one event of the year 2099 would declare every user silent.
MAX_FUTURE: Final = 900_000
#: Key, value and headers of a dead letter may take this many bytes together: what a broker takes by default
#: (1,048,588 for a whole batch), less room for our own headers and the batch.
MAX_DEAD_LETTER_BYTES: Final = 1_000_000
_CUT_KEY_BYTES: Final = 1_000
#: A reason is cut here (characters): it travels in a header.
_MAX_REASON: Final = 500


def decode_click(record: Record, rules: Rules, decoder: ValueDecoder | None = None, now: i64 = NEVER) -> Event:
    """Returns the event in `record`.

    `now` is what the time is (milliseconds), `NEVER` where recorded time is all there is. `decoder` reads values that
    are not JSON. The fast decoders answer for what they surely read as the contract does; the contract itself
    judges the rest.

    Raises:
        DeadLetter: the record breaks its contract, its key is not its user, it lies in the future, or it is
            in another currency than the shop's.
    """
    told = record.timestamp
    return decode_told(record.value, record.key, NEVER if told is None else told, rules, decoder, now)


def decode_told(  # noqa: PLR0917 - called for each event
    value: bytes | None, key: bytes | None, told: i64, rules: Rules, decoder: ValueDecoder | None, now: i64
) -> Event:
    """Returns the event of a record with this value, key and timestamp (`NEVER`: none); all as in `decode_click`."""
    if value is None:
        raise DeadLetter("no_value", "the record has no value (a tombstone)")
    if len(value) > MAX_VALUE_BYTES:
        raise DeadLetter("too_large", f"the value has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
    event = flat_event(value, key) if COMPILED and decoder is None and key is not None else None
    if event is None:
        event = event_of(value, decoder)
        _check_key(event, key)
    check_future(event.ts, told, now)
    if rules.currency is not None and event.currency is not None and event.currency != rules.currency:
        raise DeadLetter("other_currency", f"currency is {event.currency}, the shop's is {rules.currency}")
    return event


def event_of(value: bytes, decoder: ValueDecoder | None) -> Event:
    """Returns the event in a value; without a decoder the value is JSON.

    Raises:
        DeadLetter: it breaks its contract.
    """
    if decoder is not None:
        return from_contract(decoder.decode(value))
    event = fast_event(value)
    return from_contract(_contract(value)) if event is None else event


def _check_key(event: Event, key: bytes | None) -> None:
    if key != event.user_id.encode():
        raise DeadLetter("wrong_key", "the record's key is not its user_id in UTF-8: key the topic by user")


def _contract(value: bytes) -> ClickEvent:
    try:
        return ClickEvent.model_validate_json(value)
    except ValidationError as error:
        raise DeadLetter(*describe(error)) from error


def decode_clock(record: Record, now: i64 = NEVER) -> i64:
    """Returns the event time a clock record announces, in milliseconds; `now` as in `decode_click`.

    Raises:
        DeadLetter: the record breaks its contract, or lies in the future.
    """
    try:
        ts = to_milliseconds(ClockRecord.model_validate_json(record.value or b"").ts)
    except ValidationError as error:
        raise DeadLetter(*describe(error)) from error
    told = record.timestamp
    check_future(ts, NEVER if told is None else told, now)
    return ts


def check_future(ts: i64, told: i64, now: i64) -> None:
    """Checks a moment against its record's, against now, and against the end of the calendar.

    A record's own timestamp is its producer's: with a clock years ahead both would be wrong, and one event would make
    all others too late and all users silent.
    """
    if ts > MAX_EPOCH_MILLISECONDS:
        raise DeadLetter("in_the_future", "ts is later than the calendar can hold")
    if told < 0:
        raise DeadLetter("in_the_future", "the record has no timestamp to hold its ts against")
    if ts - MAX_FUTURE > told:
        raise DeadLetter("in_the_future", "ts is more than 15 minutes after the record's own timestamp")
    if now != NEVER and ts - MAX_FUTURE > now:
        raise DeadLetter("in_the_future", "ts is more than 15 minutes from now")


def describe(error: ValidationError) -> tuple[str, str]:
    """Returns a code and a readable reason for a failed validation; the values themselves are left out."""
    first, *rest = error.errors(include_url=False, include_context=False, include_input=False)
    code = "not_json" if first["type"] == "json_invalid" else "contract"
    where = ".".join(str(part) for part in first["loc"])
    reason = f"{where}: {first['msg']}" if where else first["msg"]
    if rest:
        reason += f" (and {len(rest)} more)"
    return code, reason[:_MAX_REASON]


def dead_letter(topic: str, partition: int, record: Record, problem: DeadLetter) -> OutputRecord:
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
            ("forestay-topic", topic.encode()),
            ("forestay-partition", str(partition).encode()),
            ("forestay-offset", str(record.offset).encode()),
        ],
    )


def _fitting(record: Record) -> tuple[bytes | None, bytes | None, Headers]:
    """Returns key, value and headers, cut to `MAX_DEAD_LETTER_BYTES` together if they are larger."""
    key, value = record.key, record.value
    headers_size = sum(len(name) + len(content or b"") for name, content in record.headers)
    size = headers_size + len(key or b"") + len(value or b"")
    if size <= MAX_DEAD_LETTER_BYTES:
        return key, value, record.headers
    key = None if key is None else key[:_CUT_KEY_BYTES]
    value = None if value is None else value[: MAX_DEAD_LETTER_BYTES - _CUT_KEY_BYTES]
    return key, value, [("forestay-cut", f"{size} bytes of key, value and headers".encode())]
