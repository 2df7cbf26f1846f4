"""What history tells, brought together by user: written in any order, read back user by user.

Memory is that of one bucket (a small part of all events, as they came) and of one user's events.
"""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

from forestay.core.event import NEVER
from forestay.core.hashing import hash64
from forestay.history.spill import Spill

#: Parts into which the users of one partition are divided.
_PARTS: Final = 64


class Told(NamedTuple):
    """One event of history: of which id, its value as the clickstream has it, and its place among the others.

    From a topic, `place` is its offset and `clock` the newest event time of its partition before it, in
    milliseconds; from a file, `place` is its own time and `clock` is `NEVER`: no event of a file comes too late.
    """

    user_id: str
    place: int
    clock: int
    value: bytes

    @property
    def of_file(self) -> bool:
        """Says whether a file told it."""
        return self.clock == NEVER


class History:
    """Events by partition and user; `owners` then says which ids are another's."""

    def __init__(self, partitions: int = 1) -> None:
        """`partitions` is how many groups of users are read apart from each other."""
        parts = max(_PARTS // partitions, 1)
        self._parts = parts
        self._spill = Spill(partitions * parts)
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Told).decode

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forgets everything."""
        self._spill.__exit__(kind, error, trace)

    def add(self, told: Told, owner: str, partition: int = 0) -> None:
        """Takes an event; it is read back under `owner`, who is in `partition`."""
        self._spill.add(self._bucket(owner, partition), self._encode(told))

    def _bucket(self, user_id: str, partition: int) -> int:
        return partition * self._parts + hash64(user_id) % self._parts

    def move(self, owners: Mapping[str, str]) -> None:
        """Puts the events of ids that turned out to be another's where that other's are; of one partition."""
        for bucket in sorted({self._bucket(user_id, 0) for user_id in owners}):
            moving = [
                told
                for told in self._told(bucket)
                if told.user_id in owners and self._bucket(owners[told.user_id], 0) != bucket
            ]
            for told in moving:
                self.add(told, owners[told.user_id])

    def buckets(self, partition: int = 0) -> range:
        """Returns the buckets of a partition's users."""
        return range(partition * self._parts, (partition + 1) * self._parts)

    def users(self, bucket: int, owners: Mapping[str, str]) -> Iterator[tuple[str, dict[str, list[Told]]]]:
        """Yields each owner in a bucket, sorted, with the events of every id that is theirs."""
        found: dict[str, dict[str, list[Told]]] = {}
        for told in self._told(bucket):
            owner = owners.get(told.user_id, told.user_id)
            if self._bucket(owner, bucket // self._parts) == bucket:
                found.setdefault(owner, {}).setdefault(told.user_id, []).append(told)
        for owner in sorted(found):
            yield owner, found.pop(owner)

    def _told(self, bucket: int) -> Iterator[Told]:
        return map(self._decode, self._spill.frames(bucket))
