"""The contract of the `forestay-catalogue` topic: one catalogue of offers, and who put it there, when and why."""

from typing import Annotated

from pydantic import Field

from forestay_schemas.retention_action import Contract
from forestay_schemas.types import Timestamp

#: As many characters as a line of a log bears.
_Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CatalogueRecord(Contract):
    """One revision of the catalogue.

    `revision` counts from 1 and is one more than that of the record it was made to follow: of two that were made to
    follow the same one, the first on the topic counts. `catalogue` is the catalogue as JSON, every default written
    out; `sha256` that of its UTF-8 bytes. `version` names it on decisions. `pushed_by` is what the pusher said of
    themselves.
    """

    revision: int = Field(ge=1)
    version: str = Field(pattern=r"^[0-9a-f]{12}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    pushed_at: Timestamp
    pushed_by: _Line
    reason: _Line
    catalogue: str
