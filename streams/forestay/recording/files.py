"""Opening and writing recordings, whichever their form."""

from collections.abc import Iterable
from pathlib import Path

from forestay.recording import jsonl_form, parquet_form
from forestay.recording.blocks import cut_blocks
from forestay.recording.errors import RecordingError
from forestay.recording.folder import open_folder
from forestay.recording.messages import RecordedMessage
from forestay.recording.metadata import RecordingMetadata
from forestay.recording.part import FAST, SMALL, PartWriter
from forestay.recording.recording import Recording

__all__ = ["FAST", "SMALL", "open_recording", "write_recording"]


def open_recording(path: Path | str) -> Recording:
    """Opens the recording at `path`: Parquet or JSONL, its content says which, or a folder of parts.

    Raises:
        RecordingError: there is none, it is damaged, or it is of a newer format.
    """
    path = Path(path)
    if path.is_dir():
        return open_folder(path, _open_file)
    return _open_file(path)


def _open_file(path: Path) -> Recording:
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
        RecordingError: offsets of a partition do not rise, the name ends otherwise, or there is no room.
        OSError: the file cannot be written.
    """
    with PartWriter(Path(path), metadata, zstd_level=zstd_level) as part:
        for block in cut_blocks(messages):
            part.write(block)
        part.seal()
