"""Events of files, divided by user into partitions on disk, so that memory is bounded by one of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

import msgspec

from forestay.core.event import NEVER
from forestay.core.hashing import hash64
from forestay.history.links import Links, Owned
from forestay.history.point_in_time import STEP, Tell
from forestay.history.reading import EventFile, Problems
from forestay.history.told import Told

#: Each event stands behind its length.
_LENGTH: Final = 4
#: Bytes of one partition that wait to be written: 32 MB at 512 partitions.
_BUFFER: Final = 65_536


def partition_of(user_id: str, partitions: int) -> int:
    """Returns the partition of a user's rows."""
    return hash64(user_id) % partitions


class Read(NamedTuple):
    """What was read of one file: rows, and how many of them were events that count."""

    path: Path
    rows: int
    events: int


class Divided:
    """Events by the partition of their own id; who owns whom is known once all are read.

    `newest` is the newest event's time, `NEVER` without any; `later` counts events after the known end.
    """

    def __init__(self, folder: Path, partitions: int, *, merge_identities: bool) -> None:
        """Writes a file a partition into `folder`."""
        self.problems = Problems()
        self.reads: list[Read] = []
        self.newest = NEVER
        self.later = 0
        self._partitions = partitions
        self._links = Links() if merge_identities else None
        self._encode = msgspec.msgpack.Encoder().encode
        self._open = ExitStack()
        self.paths = [folder / f"events-{number:03d}" for number in range(partitions)]
        self._files = [self._open.enter_context(path.open("wb", _BUFFER)) for path in self.paths]

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the files."""
        self._open.close()

    def read(self, file: EventFile, known_until: int | None, tell: Tell) -> None:
        """Takes the events of a file, of those after `known_until` (if it is given) only their number.

        Raises:
            OSError: it cannot be read, or there is no room on the disk.
            ForestayError: it is damaged.
        """
        stage = f"reading {file.path.name}"
        rows = events = 0
        for row in file.read():
            rows += 1
            if row.position % STEP == 0:
                tell(stage, row.position, file.rows)
            event = row.event
            if event is None:
                self.problems.add(file.path, row)
                continue
            if known_until is not None and event.ts > known_until:
                self.later += 1
                continue
            events += 1
            self.newest = max(self.newest, event.ts)
            self._put(Told(event.user_id, event.ts, NEVER, row.value))
            if self._links is not None:
                self._links.add(event)
        self.reads.append(Read(file.path, rows, events))

    def _put(self, told: Told) -> None:
        frame = self._encode(told)
        file = self._files[partition_of(told.user_id, self._partitions)]
        file.write(len(frame).to_bytes(_LENGTH, "little"))
        file.write(frame)

    def finish(self) -> list[dict[str, Owned]]:
        """Returns of each partition the ids of it or of its users that are another's, and whose.

        Events of ids whose owner is in another partition are put there too.
        """
        for file in self._files:
            file.flush()
        owned = self._links.owned() if self._links is not None else {}
        concerned: list[dict[str, Owned]] = [{} for _ in self.paths]
        for other, one in owned.items():
            for number in {partition_of(other, self._partitions), partition_of(one.owner, self._partitions)}:
                concerned[number][other] = one
        # As it is before anything is put there: what is moved into a partition is none of its own.
        ends = [path.stat().st_size for path in self.paths]
        for number, (path, end) in enumerate(zip(self.paths, ends, strict=True)):
            if any(partition_of(other, self._partitions) == number for other in concerned[number]):
                self._move(number, path, end, concerned[number])
        self._open.close()
        return concerned

    def _move(self, number: int, path: Path, end: int, owned: Mapping[str, Owned]) -> None:
        with path.open("rb") as file:
            for told in read_told(file, end):
                one = owned.get(told.user_id)
                target = number if one is None else partition_of(one.owner, self._partitions)
                if target != number:
                    frame = self._encode(told)
                    self._files[target].write(len(frame).to_bytes(_LENGTH, "little"))
                    self._files[target].write(frame)


def read_told(file: IO[bytes], end: int | None = None) -> Iterator[Told]:
    """Yields the events of a partition, up to the position `end` if it is given."""
    decode = msgspec.msgpack.Decoder(Told).decode
    at = 0
    while end is None or at < end:
        length = file.read(_LENGTH)
        if not length:
            return
        frame = file.read(int.from_bytes(length, "little"))
        at += _LENGTH + len(frame)
        yield decode(frame)


def histories(file: IO[bytes], number: int, partitions: int, owned: Mapping[str, Owned]) -> dict[str, list[Told]]:
    """Returns the events by id of the users of partition `number`; ids whose owner is in another are left out."""
    found: dict[str, list[Told]] = {}
    for told in read_told(file):
        one = owned.get(told.user_id)
        if one is None or partition_of(one.owner, partitions) == number:
            found.setdefault(told.user_id, []).append(told)
    return found


def ids_by_owner(ids: Sequence[str], owned: Mapping[str, Owned]) -> dict[str, list[str]]:
    """Returns each user that has further ids among `ids`, with these."""
    found: dict[str, list[str]] = {}
    for user_id in ids:
        if user_id in owned:
            found.setdefault(owned[user_id].owner, []).append(user_id)
    return found
