"""A recording in several files: a folder of parts, each a recording of its own (docs/recording.md)."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from forestay.recording.errors import RecordingError
from forestay.recording.metadata import RecordingMetadata, Seal, Span
from forestay.recording.recording import Recording

#: By topic and partition, the offset after the last one recorded: where the next part begins.
Positions = dict[tuple[str, int], int]

_PART: Final = re.compile(r"part-(\d{6,})\.(?:parquet|jsonl)")
#: Of a part's properties: by topic and partition, the offset at which it begins.
_BEGIN: Final = "begin"


def part_name(number: int, form: str) -> str:
    """Returns the name of part `number`, from 0, of the form `parquet` or `jsonl`."""
    return f"part-{number:06}.{form}"


def find_parts(folder: Path) -> dict[int, Path]:
    """Returns the parts in `folder` by number, in order.

    Raises:
        RecordingError: the folder cannot be read, or parts are missing or there twice.
    """
    found: dict[int, Path] = {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise RecordingError(f"{folder}: cannot be read: {error.strerror}") from error
    for path in paths:
        match = _PART.fullmatch(path.name)
        if match is None:
            continue
        number = int(match[1])
        if number in found:
            raise RecordingError(f"{folder}: {found[number].name} and {path.name} are the same part: take one away")
        found[number] = path
    # The oldest may have been taken away to make room; in between none may be missing.
    for number in range(min(found, default=0), max(found, default=0)):
        if number not in found:
            raise RecordingError(f"{folder}: part {number} is missing: fetch it, or take away those before it")
    return dict(sorted(found.items()))


def write_positions(positions: Positions) -> dict[str, dict[str, dict[str, int]]]:
    """Returns the properties of a part that begins at `positions`."""
    begin: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(positions.items()):
        begin.setdefault(topic, {})[str(partition)] = offset
    return {_BEGIN: begin}


def begin_of(part: Recording) -> Positions:
    """Returns where a part begins.

    Raises:
        RecordingError: it does not say.
    """
    try:
        begin: dict[str, dict[str, int]] = part.metadata.properties[_BEGIN]
        return {
            (topic, int(partition)): int(offset)
            for topic, partitions in begin.items()
            for partition, offset in partitions.items()
        }
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RecordingError(
            f"{part.path}: does not say where it begins: it was not made by `forestay record`"
        ) from error


def end_of(part: Recording) -> Positions:
    """Returns where a part ends, and the next one begins.

    Raises:
        RecordingError: it does not say where it begins.
    """
    return begin_of(part) | {(span.topic, span.partition): span.last_offset + 1 for span in part.spans}


class FolderRecording(Recording):
    """All parts of a folder as one recording."""

    def __init__(self, path: Path, parts: Sequence[Recording]) -> None:
        """Takes the opened parts in order; metadata are the last one's.

        Raises:
            RecordingError: a part holds offsets that an earlier one holds too.
        """
        blocks = [block for part in parts for block in part.blocks]
        seal = Seal(sum(map(len, parts)), _spans(parts), blocks)
        digests = "\n".join(part.digest for part in parts)
        digest = "sha256:" + hashlib.sha256(digests.encode()).hexdigest()
        super().__init__(path, _metadata(parts), seal, digest)
        self.parts = parts

    def _read_blocks(self, numbers: range) -> Iterator[pa.RecordBatch]:
        first = 0
        for part in self.parts:
            inside = range(max(numbers.start - first, 0), min(numbers.stop - first, len(part.blocks)))
            if inside:
                yield from part._read_blocks(inside)  # noqa: SLF001 - parts and whole are of one class
            first += len(part.blocks)

    def _place(self, number: int) -> str:
        for part in self.parts:
            if number < len(part.blocks):
                return f"{part.path}: block {number}"
            number -= len(part.blocks)
        raise IndexError(number)


def open_folder(path: Path, open_part: Callable[[Path], Recording]) -> FolderRecording:
    """Opens the recording whose parts lie in the folder `path`.

    Raises:
        RecordingError: there are none, one is damaged or missing, or they do not follow each other.
    """
    parts = find_parts(path)
    if not parts:
        raise RecordingError(f"{path}: holds no recording: its parts are called {part_name(0, 'parquet')} and so on")
    return FolderRecording(path, [open_part(part) for part in parts.values()])


def _metadata(parts: Sequence[Recording]) -> RecordingMetadata:
    last = parts[-1].metadata
    partitions: dict[str, int] = {}
    for part in parts:
        partitions |= part.metadata.partitions
    return RecordingMetadata(
        description=last.description,
        credit=last.credit,
        licence=last.licence,
        partitions=partitions,
        properties=last.properties,
    )


def _spans(parts: Sequence[Recording]) -> list[Span]:
    spans: dict[tuple[str, int], Span] = {}
    for part in parts:
        for span in part.spans:
            before = spans.get((span.topic, span.partition))
            if before is None:
                spans[span.topic, span.partition] = span
                continue
            if span.first_offset <= before.last_offset:
                raise RecordingError(
                    f"{part.path}: begins {span.topic}-{span.partition} at offset {span.first_offset}, of which an"
                    f" earlier part holds {before.last_offset}: it is of another recording"
                )
            spans[span.topic, span.partition] = Span(
                span.topic,
                span.partition,
                before.records + span.records,
                before.first_offset,
                span.last_offset,
                min(before.min_timestamp, span.min_timestamp),
                max(before.max_timestamp, span.max_timestamp),
            )
    return [spans[place] for place in sorted(spans)]
