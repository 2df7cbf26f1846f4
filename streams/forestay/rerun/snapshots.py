"""The state that workers had, from a recording of their changelog: where a rerun by the ledger may begin."""

from forestay.core.errors import StateError
from forestay.core.state.mark import PartitionMark
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import MARK_KEY, decode_mark, is_reservation, is_users
from forestay.recording import RecordedMessage
from forestay.rerun.durable import Durable
from forestay.rerun.reading import Rows


class Snapshots:
    """By partition, users and mark as of the last commit that is whole in the recording; memory as in a worker."""

    def __init__(self, recordings: Rows, topic: str) -> None:
        """Reads the changelog to the last mark of each partition.

        What was damaged counts only where no later record of its key stands in its place: a repair writes one.

        Raises:
            StateError: a record that counts was damaged; which one, and what to do.
        """
        self._marks: dict[int, int] = {}
        self._users: dict[int, dict[str, bytes]] = {}
        self._found: dict[int, PartitionMark] = {}
        damaged: dict[tuple[int, bytes], StateError] = {}
        for row in recordings.rows([topic]):
            if row.key == MARK_KEY:
                self._marks[row.partition] = row.offset
        for row in recordings.rows([topic]):
            if row.key is None or row.offset > self._marks.get(row.partition, -1):
                continue
            damaged.pop((row.partition, row.key), None)
            try:
                self._take_in(row, row.key)
            except StateError as error:
                damaged[row.partition, row.key] = _damage(row, row.key, error)
        if damaged:
            raise next(iter(damaged.values()))

    def _take_in(self, row: RecordedMessage, key: bytes) -> None:
        users = self._users.setdefault(row.partition, {})
        if key == MARK_KEY:
            self._found[row.partition] = decode_mark(unsealed(MARK_KEY, row.value or b""))
        elif not is_users(key) and not is_reservation(key):
            return
        elif row.value is None:
            users.pop(key.decode(), None)
        else:
            users[key.decode()] = unsealed(key, row.value)

    def mark(self, partition: int) -> PartitionMark | None:
        """Returns the mark; None: the partition's state is not recorded."""
        return self._found.get(partition)

    def take(self, partition: int) -> Durable:
        """Returns the state to begin with; it is not kept."""
        return Durable(self._users.pop(partition, {}), self._found.get(partition))


def _damage(row: RecordedMessage, key: bytes, error: StateError) -> StateError:
    whose = "the mark" if key == MARK_KEY else f"user {key.decode(errors='replace')!r}"
    return StateError(
        f"{row.topic}-{row.partition}@{row.offset}, the state of {whose}: {error}. No later record before the last"
        f" commit in the recording replaces it: look at the state with `forestay repair`; after `forestay repair"
        f" --write`, record {row.topic} again, and the ledger with its topics --from a time after the repair"
    )
