"""A catalogue as a record of its topic, and back: the same bytes in, the same catalogue out."""

import hashlib
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ConfigurationError
from forestay.core.record import OutputRecord
from forestay.settings import cannot_work
from forestay_schemas import CatalogueRecord

#: Kafka takes records of 1,048,588 bytes as it comes (`message.max.bytes`); the rest is for key and frame.
MAX_BYTES: Final = 1_000_000


def record_of(
    catalogue: Catalogue, *, revision: int, pushed_at: datetime, pushed_by: str, reason: str
) -> OutputRecord:
    """Returns the record that makes `catalogue` the revision of that number.

    Its key is its own: compaction keeps every revision, those too that lost a race.

    Raises:
        ConfigurationError: it is too large for the topic, or what is said of it is no line.
    """
    text = catalogue.model_dump_json(by_alias=True)
    try:
        record = CatalogueRecord(
            revision=revision,
            version=catalogue.digest(),
            sha256=_sha256(text.encode()),
            pushed_at=pushed_at,
            pushed_by=pushed_by,
            reason=reason,
            catalogue=text,
        )
    except ValidationError as error:
        raise cannot_work("what is said of the catalogue", error) from error
    value = record.model_dump_json().encode()
    if len(value) > MAX_BYTES:
        raise ConfigurationError(
            f"the catalogue takes {len(value):,} bytes with the posterior and the items it names, and a record of the"
            f" topic {MAX_BYTES:,} at most: leave out what is large, or stay with worker.catalogue_source=file"
        )
    return OutputRecord(f"{revision:08d}-{_sha256(value)[:16]}".encode(), value)


def read_record(value: bytes | None) -> CatalogueRecord:
    """Returns what a record says; whether its catalogue can work is not looked at.

    Raises:
        ConfigurationError: it breaks its contract, is too large, or was altered.
    """
    if len(value or b"") > MAX_BYTES:
        raise ConfigurationError(f"it takes more than {MAX_BYTES:,} bytes")
    try:
        record = CatalogueRecord.model_validate_json(value or b"")
    except ValidationError as error:
        raise cannot_work("the record", error) from error
    if record.sha256 != _sha256(record.catalogue.encode()):
        raise ConfigurationError("its catalogue has not the SHA-256 it names: it was altered")
    return record


def read_catalogue(text: str) -> Catalogue:
    """Returns the catalogue in a record.

    Raises:
        ConfigurationError: it breaks its contract.
    """
    try:
        return Catalogue.model_validate_json(text)
    except ValidationError as error:
        raise cannot_work("the catalogue", error) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
