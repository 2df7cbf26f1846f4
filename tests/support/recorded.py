"""A broker for recorders, in memory: partitions read in pieces; and a disk that is full from a given write on."""

import asyncio
import errno
import io
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from forestay.recorder.merging import Place
from forestay.recorder.source import OffsetsGoneError
from forestay.recording import RecordedMessage
from forestay.recording.part import PartWriter


class Killed(BaseException):
    """The process ends here: nothing is cleaned up."""


class FakeSource:
    """Partitions as lists; `poll` gives a few records of each. `log_starts` says what retention has left."""

    def __init__(self, rows: Iterable[RecordedMessage], piece: int = 3) -> None:
        self.log_starts: dict[Place, int] = {}
        self._piece = piece
        self._rows: dict[Place, list[RecordedMessage]] = {}
        self._positions: dict[Place, int] = {}
        for row in rows:
            self._rows.setdefault((row.topic, row.partition), []).append(row)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._positions.clear()

    def append(self, row: RecordedMessage) -> None:
        """A record comes."""
        self._rows.setdefault((row.topic, row.partition), []).append(row)

    def counts(self) -> dict[str, int]:
        """How many partitions each topic has."""
        found: dict[str, int] = {}
        for topic, partition in self._rows:
            found[topic] = max(found.get(topic, 0), partition + 1)
        return found

    def ends(self) -> dict[str, dict[int, int]]:
        """The end of each partition, by topic."""
        return {
            topic: {number: self.last((topic, number)) for number in range(count)}
            for topic, count in self.counts().items()
        }

    def assign(self, positions: Mapping[Place, int]) -> None:
        self._positions = dict(positions)

    def drop(self, place: Place) -> None:
        assert place in self._positions

    async def first(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: self.log_starts.get(place, 0) for place in places}

    async def at_time(self, places: Iterable[Place], timestamp: int) -> dict[Place, int | None]:
        return {
            place: next((row.offset for row in self._rows.get(place, []) if row.timestamp >= timestamp), None)
            for place in places
        }

    async def poll(self, places: Collection[Place]) -> dict[Place, list[RecordedMessage]]:
        await asyncio.sleep(0)
        gone = [place for place in places if self._positions[place] < self.log_starts.get(place, 0)]
        if gone:
            raise OffsetsGoneError(gone)
        found = {}
        for place in places:
            position = self._positions[place]
            records = [row for row in self._rows.get(place, []) if row.offset >= position][: self._piece]
            if records:
                found[place] = records
                self._positions[place] = records[-1].offset + 1
        return found

    async def position(self, place: Place) -> int:
        return self._positions[place]

    def end(self, place: Place) -> int:
        return self.last(place)

    def last(self, place: Place) -> int:
        rows = self._rows.get(place)
        return rows[-1].offset + 1 if rows else 0


class FullDisk:
    """From the `allowed`-th call on, what takes room or makes it durable fails: writes, reservations, fsync."""

    def __init__(self, patch: pytest.MonkeyPatch, allowed: int, error: BaseException | None = None) -> None:
        self.calls = 0
        self.allowed = allowed
        self._error = error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        disk = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                disk.use()
                return super().write(data)

        def open_file(path: Path, mode: str = "r", *arguments: Any, **names: Any) -> Any:
            return io.BufferedWriter(Raw(path, "wb")) if mode == "wb" else open(path, mode, *arguments, **names)  # noqa: PTH123

        patch.setattr(Path, "open", open_file)
        patch.setattr(os, "posix_fallocate", lambda *_: disk.use())
        patch.setattr(os, "fsync", lambda _: disk.use())
        if isinstance(self._error, Killed):
            patch.setattr(PartWriter, "abandon", _leave)

    def use(self) -> None:
        """Counts one use of the disk."""
        self.calls += 1
        if self.calls > self.allowed:
            raise self._error


def _leave(part: PartWriter) -> None:
    """What the kernel does when a process is killed: files are closed, and stay as they are."""
    part._form.abandon()
    part._file.raw.close()
