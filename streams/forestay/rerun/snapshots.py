"""The state that workers had, from a recording of their changelog: where a rerun by the ledger may begin."""

from forestay.core.state.mark import PartitionMark
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import MARK_KEY, decode_mark, is_users
from forestay.rerun.durable import Durable
from forestay.rerun.reading import Rows


class Snapshots:
    """By partition, users and mark as of the last commit that is whole in the recording; memory as in a worker."""

    def __init__(self, recordings: Rows, topic: str) -> None:
        """Reads the changelog to the last mark of each partition.

        Raises:
            StateError: a mark cannot be read, or a user's record was damaged.
        """
        self._marks: dict[int, int] = {}
        self._users: dict[int, dict[str, bytes]] = {}
        self._found: dict[int, PartitionMark] = {}
        for row in recordings.rows([topic]):
            if row.key == MARK_KEY:
                self._marks[row.partition] = row.offset
        for row in recordings.rows([topic]):
            if row.offset > self._marks.get(row.partition, -1):
                continue
            users = self._users.setdefault(row.partition, {})
            if row.key == MARK_KEY:
                self._found[row.partition] = decode_mark(unsealed(MARK_KEY, row.value or b""))
            elif row.key is None or not is_users(row.key):
                continue
            elif row.value is None:
                users.pop(row.key.decode(), None)
            else:
                users[row.key.decode()] = unsealed(row.key, row.value)

    def mark(self, partition: int) -> PartitionMark | None:
        """Returns the mark; None: the partition's state is not recorded."""
        return self._found.get(partition)

    def take(self, partition: int) -> Durable:
        """Returns the state to begin with; it is not kept."""
        return Durable(self._users.pop(partition, {}), self._found.get(partition))
