"""The Parquet form: one file, zstd, one row group a block, header and seal in the footer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from forestay.recording.blocks import Sealer
from forestay.recording.errors import RecordingError
from forestay.recording.messages import SCHEMA
from forestay.recording.metadata import Header, RecordingMetadata, Seal, canonical, content_digest, read_header
from forestay.recording.recording import Recording

MAGIC: Final = b"PAR1"
HEADER_KEY: Final = b"forestay-recording"
SEAL_KEY: Final = b"forestay-recording-seal"
DIGEST_KEY: Final = b"forestay-recording-digest"

#: One page holds a block's values, so that zstd sees all of them at once: 18 % less file than pages of 1 MiB.
_PAGE_BYTES: Final = 64 * 2**20
#: What writing may take at most, in bytes: a block's three dictionaries (pyarrow ends each at 1 MiB), what the footer
#: says of one block (9 columns), and of one partition.
_DICTIONARIES: Final = 4 * 2**20
_GROUP_BYTES: Final = 4_096
_SPAN_BYTES: Final = 512
_REPEATING: Final = ["topic", "partition", "key"]
_RISING: Final = {"offset": "DELTA_BINARY_PACKED", "timestamp": "DELTA_BINARY_PACKED"}


class ParquetRecording(Recording):
    """A recording in a Parquet file."""

    def _read_blocks(self, numbers: range) -> Iterator[pa.RecordBatch]:
        with _damage(self.path), pq.ParquetFile(self.path) as file:
            for number in numbers:
                yield _block(file, number)


def open_parquet(path: Path) -> ParquetRecording:
    """Opens the recording at `path`: reads the footer, not the rows.

    Raises:
        RecordingError: the footer is not that of a recording, or was altered.
    """
    with _damage(path), pq.ParquetFile(path) as file:
        notes = file.metadata.metadata or {}
        header, seal, digest = (notes.get(key, b"") for key in (HEADER_KEY, SEAL_KEY, DIGEST_KEY))
        if not header:
            raise RecordingError("a Parquet file, but no recording: it has no header of one")
        if content_digest(header, seal).encode() != digest:
            raise RecordingError("header or seal were altered since they were written: fetch the file anew")
        metadata = read_header(header).metadata
        sealed = msgspec.json.decode(seal, type=Seal)
        groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        if groups != [block.records for block in sealed.blocks] or not _same_columns(file.schema_arrow):
            raise RecordingError("rows or columns are not those that were sealed: fetch the file anew")
        return ParquetRecording(path, metadata, sealed, digest.decode())


class ParquetWriter:
    """Writes a recording to an open file, block by block; the same blocks and metadata give the same bytes."""

    def __init__(self, file: BinaryIO, metadata: RecordingMetadata, zstd_level: int) -> None:
        """Writes the beginning."""
        self._header = canonical(Header.of(metadata))
        self._sealer = Sealer()
        self._blocks = 0
        self._writer = pq.ParquetWriter(
            file,
            SCHEMA,
            compression="zstd",
            compression_level=zstd_level,
            use_dictionary=_REPEATING,
            column_encoding=_RISING,
            data_page_size=_PAGE_BYTES,
            write_statistics=False,
            store_schema=False,
        )

    @property
    def ends(self) -> dict[tuple[str, int], int]:
        """Returns the offset after the last row of each partition that has rows."""
        return self._sealer.ends

    def write(self, block: pa.RecordBatch, reserve: Callable[[int], None]) -> None:
        """Writes the next block, once `reserve` has found room for so many bytes: the block and the end after it.

        Raises:
            RecordingError: offsets of a partition do not rise.
        """
        partitions = len(block.column("topic").unique()) * len(block.column("partition").unique())
        spans = len(self._sealer.ends) + min(partitions, block.num_rows)
        footer = 2 * len(self._header) + spans * _SPAN_BYTES + (self._blocks + 2) * _GROUP_BYTES
        reserve(block.nbytes + block.nbytes // 16 + _DICTIONARIES + footer)
        self._sealer.add(block)
        self._writer.write_batch(block, row_group_size=block.num_rows)
        self._blocks += 1

    def close(self) -> str:
        """Writes the end, and returns the digest."""
        seal = canonical(self._sealer.seal())
        digest = content_digest(self._header, seal)
        self._writer.add_key_value_metadata({HEADER_KEY: self._header, SEAL_KEY: seal, DIGEST_KEY: digest.encode()})
        self._writer.close()
        return digest

    def abandon(self) -> None:
        """Gives up; without this, pyarrow would still write an end when the writer is forgotten."""
        self._writer.is_open = False


def _block(file: pq.ParquetFile, number: int) -> pa.RecordBatch:
    batches = file.read_row_group(number).combine_chunks().cast(SCHEMA).to_batches()
    if len(batches) != 1:
        raise RecordingError(f"block {number} is too large to be one of a recording")
    return batches[0]


def _same_columns(schema: pa.Schema) -> bool:
    return bool(schema.remove_metadata().equals(SCHEMA))


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turns what pyarrow says about a damaged file into what a person can use."""
    try:
        yield
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    except (pa.ArrowException, msgspec.MsgspecError, OSError, ValueError, OverflowError) as error:
        raise RecordingError(f"{path}: cannot be read, it is cut off or damaged ({error}): fetch it anew") from error
