"""Frames of bytes in buckets, in memory while they are few, else in files of the system's temporary folder."""

from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Final, Self

#: Bytes of one bucket held in memory; the system's cache does the rest.
_IN_MEMORY: Final = 512 * 1024
#: Each frame stands behind its length.
_LENGTH: Final = 4


class Spill:
    """Buckets that are written first and read afterwards; what they hold ends with the `with` block."""

    def __init__(self, buckets: int) -> None:
        """`buckets` is how many there are; each may take an open file."""
        self._files = ExitStack()
        self._buckets: list[IO[bytes]] = []
        for _ in range(buckets):
            file = SpooledTemporaryFile(_IN_MEMORY, prefix="forestay-")  # noqa: SIM115 - the stack closes it
            self._buckets.append(self._files.enter_context(file))

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forgets everything."""
        self._files.close()

    def add(self, bucket: int, frame: bytes) -> None:
        """Appends a frame to a bucket."""
        file = self._buckets[bucket]
        file.write(len(frame).to_bytes(_LENGTH, "little"))
        file.write(frame)

    def frames(self, bucket: int) -> Iterator[bytes]:
        """Yields the frames of a bucket as they were added; none is to be added meanwhile."""
        file = self._buckets[bucket]
        file.seek(0)
        while length := file.read(_LENGTH):
            yield file.read(int.from_bytes(length, "little"))
