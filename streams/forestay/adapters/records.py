"""The value of a foreign Kafka record to the object a mapping reads, bounded in size."""

from typing import Any, Final

import msgspec

from forestay.core.decoding.decode import MAX_VALUE_BYTES
from forestay.core.errors import DeadLetter
from forestay.core.record import Headers

#: Where a mapping finds Kafka's headers, by their names in lower case: connectors spell HTTP's in many ways.
HEADERS: Final = "_headers"


def decode_object(value: bytes) -> dict[str, Any]:
    """Returns the JSON object in `value`.

    Raises:
        DeadLetter: codes `too_large`, `not_json`, `not_object`.
    """
    if len(value) > MAX_VALUE_BYTES:
        raise DeadLetter("too_large", f"the value has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
    try:
        found = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DeadLetter("not_json", f"the value is not JSON: {error}") from error
    except RecursionError as error:
        raise DeadLetter("not_json", "the value is nested too deep") from error
    if not isinstance(found, dict):
        raise DeadLetter("not_object", f"the value is JSON, but no object: {type(found).__name__}")
    return found


def with_headers(record: dict[str, Any], headers: Headers) -> dict[str, Any]:
    """Returns `record` with Kafka's headers as texts under `_headers`; of those named alike the last counts."""
    if not headers:
        return record
    texts = {name.lower(): content.decode(errors="replace") for name, content in headers if content is not None}
    return record | {HEADERS: texts}
