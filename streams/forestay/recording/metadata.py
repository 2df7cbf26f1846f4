"""What a recording says about itself: the header its writer chooses, and the seal that closes it."""

import hashlib
from typing import Any, Final, Self

import msgspec

from forestay.recording.errors import RecordingError

FORMAT: Final = "forestay-recording"
VERSION: Final = 1


class RecordingMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the writer says: where the rows come from, and what was done to them."""

    description: str
    #: Who made the data, to be named wherever it is used.
    credit: str = ""
    #: SPDX identifier of the licence the rows are under; empty where they are not to be passed on.
    licence: str = ""
    #: How many partitions each source topic had: replay keeps partitions where the target has as many.
    partitions: dict[str, int] = {}
    #: What the source held, what was left out and why, what was added.
    counts: dict[str, int] = {}
    #: Anything else, as JSON.
    properties: dict[str, Any] = {}


class Header(msgspec.Struct, frozen=True):
    """The first thing in a recording."""

    format: str
    version: int
    metadata: RecordingMetadata

    @classmethod
    def of(cls, metadata: RecordingMetadata) -> Self:
        """Returns the header of a recording in the format this module writes."""
        return cls(FORMAT, VERSION, metadata)


class Span(msgspec.Struct, frozen=True):
    """The rows of one partition of one topic: offsets rise from the first to the last, gaps allowed."""

    topic: str
    partition: int
    records: int
    first_offset: int
    last_offset: int
    min_timestamp: int
    max_timestamp: int


class Block(msgspec.Struct, frozen=True):
    """The digest of consecutive rows that are written, read and checked together."""

    records: int
    sha256: str


class Seal(msgspec.Struct, frozen=True):
    """The last thing in a recording: how much there is of what, and the digests of all of it."""

    records: int
    spans: list[Span]
    blocks: list[Block]


def canonical(value: Header | Seal) -> bytes:
    """Returns `value` as JSON, compact, keys sorted: the bytes the digest is made of."""
    return msgspec.json.encode(value, order="sorted")


def content_digest(header: bytes, seal: bytes) -> str:
    """Returns the digest of a whole recording: of its header and, through the seal, of every row."""
    return "sha256:" + hashlib.sha256(header + b"\n" + seal).hexdigest()


def read_header(raw: bytes) -> Header:
    """Returns the header in `raw`.

    Raises:
        RecordingError: it is not one, or the recording is of a newer version of the format.
    """
    try:
        about = msgspec.json.decode(raw, type=_Version)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"the header of the recording cannot be read: {error}") from error
    if about.format != FORMAT:
        raise RecordingError(f"the header says {about.format!r}, not {FORMAT!r}: this is no recording")
    if about.version != VERSION:
        raise RecordingError(
            f"the recording is of version {about.version} of the format, this Forestay reads {VERSION}: update it"
        )
    try:
        return msgspec.json.decode(raw, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordingError(f"the header of the recording cannot be read: {error}") from error


class _Version(msgspec.Struct, frozen=True):
    format: str
    version: int
