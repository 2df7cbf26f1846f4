"""Opening and writing recordings, whichever their form."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from forestay.recording import jsonl_form, parquet_form
from forestay.recording.blocks import cut_blocks
from forestay.recording.errors import RecordingError
from forestay.recording.messages import RecordedMessage
from forestay.recording.metadata import RecordingMetadata
from forestay.recording.recording import Recording

#: zstd levels: the default keeps up with a live topic; 19 is for what is shipped (a third
#: smaller, and 40 times slower: 115 µs a record).
FAST: Final = 3
SMALL: Final = 19


def open_recording(path: Path | str) -> Recording:
    """Opens the recording at `path`, Parquet or JSONL; its content says which.

    Raises:
        RecordingError: there is none, it is damaged, or it is of a newer format.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    if start == parquet_form.MAGIC:
        return parquet_form.open_parquet(path)
    if start.startswith(jsonl_form.MAGIC):
        return jsonl_form.open_jsonl(path)
    raise RecordingError(f"{path}: is no recording, it starts with neither PAR1 nor an opening brace")


def write_recording(
    path: Path | str,
    messages: Iterable[RecordedMessage],
    metadata: RecordingMetadata,
    *,
    zstd_level: int = FAST,
) -> None:
    """Writes `messages` in their order to `path`, `.parquet` or `.jsonl`; the file appears whole or not at all.

    `zstd_level` concerns Parquet alone. The same messages and metadata give the same bytes.

    Raises:
        RecordingError: offsets of a partition do not rise, or the name ends otherwise.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in {".parquet", ".jsonl"}:
        raise RecordingError(f"{path}: a recording is called .parquet or .jsonl")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        if path.suffix == ".parquet":
            parquet_form.write_parquet(unfinished, cut_blocks(messages), metadata, zstd_level)
        else:
            jsonl_form.write_jsonl(unfinished, cut_blocks(messages), metadata)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
