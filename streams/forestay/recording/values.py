"""The values of records, from recordings or from files with one record a line, whichever each path is."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from forestay.recording.files import open_recording

#: A recording's first line of JSON holds this; a file of records does not.
_RECORDING: Final = b'"forestay-recording"'
_LOOK: Final = 65_536
#: A line longer than this (bytes) is no record, but a file of another kind.
_LONGEST: Final = 4_000_000


def record_values(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Yields where each record lies, for people, and its value; records without a value are passed over.

    Raises:
        RecordingError: a recording is damaged.
        OSError: a file cannot be read.
    """
    for path in paths:
        if path.is_dir() or _is_recording(path):
            for message in open_recording(path):
                if message.value is not None:
                    yield f"{path}: {message.topic}-{message.partition} at {message.offset}", message.value
            continue
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), start=1):
                if line.strip():
                    yield f"{path}: line {number}", line


def _is_recording(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_LOOK)
    return start.startswith(b"PAR1") or _RECORDING in start.partition(b"\n")[0]
