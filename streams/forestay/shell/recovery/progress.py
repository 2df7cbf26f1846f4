"""How far the reading of durable state has come: what readiness tells while a worker restores."""

from dataclasses import dataclass, field
from typing import NamedTuple


class PartitionProgress(NamedTuple):
    """Offsets of one partition's changelog and decisions: passed by now, and to be passed in all.

    Offsets, not records: compaction leaves gaps. `to_read` grows once, when the mark says where decisions begin.
    """

    read: int
    to_read: int


@dataclass
class RecoveryProgress:
    """Each partition that is being restored, or was since the last `begin`; told once a chunk of a fetch."""

    partitions: dict[int, PartitionProgress] = field(default_factory=dict)

    def begin(self, partitions: list[int]) -> None:
        """Forgets what was before; nothing is known yet of how much there is to read of `partitions`."""
        self.partitions = {number: PartitionProgress(0, 0) for number in partitions}

    def tell(self, partition: int, read: int, to_read: int) -> None:
        """Says how far a partition has come, in offsets."""
        self.partitions[partition] = PartitionProgress(read, max(read, to_read))

    @property
    def read(self) -> int:
        """Returns how many offsets have been passed, over all partitions."""
        return sum(partition.read for partition in self.partitions.values())

    @property
    def to_read(self) -> int:
        """Returns how many offsets there are to pass, as far as known."""
        return sum(partition.to_read for partition in self.partitions.values())
