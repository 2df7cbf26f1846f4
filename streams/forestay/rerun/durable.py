"""What was durable of a partition's users, as far as the ledger tells: up to two commits back, and between them."""

from collections.abc import Mapping, Sequence

from forestay.core.errors import StateError
from forestay.core.ledger import user_hash, users_digest
from forestay.core.record import OutputRecord
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay_schemas import LedgerStart


class Durable:
    """Users and mark as of a commit, and the records of the one after it, which may not all have become durable."""

    def __init__(self, users: dict[str, bytes] | None = None, mark: PartitionMark | None = None) -> None:
        """Starts with what was durable; by default nothing."""
        self.users = users or {}
        self.mark = mark
        self._last: Sequence[OutputRecord] = ()
        #: The XOR of all users, as the ledger has it.
        self._digest = int(users_digest(self.users).digest, 16)

    @property
    def positions(self) -> dict[str, int]:
        """Returns the positions a worker may go back to."""
        return {} if self.mark is None else self.mark.positions

    @property
    def decisions(self) -> int:
        """Returns the end of the decisions there."""
        return 0 if self.mark is None else self.mark.decisions

    def commit(self, records: Sequence[OutputRecord]) -> None:
        """Takes the records of a checkpoint, the mark last; the one before is durable by now."""
        for record in self._last:
            self._apply(record)
        self._last = records

    def restore(self, start: LedgerStart) -> None:
        """Makes `users` and `mark` what a worker found.

        A commit that was broken off has written its records up to one of them: those that make the digest.

        Raises:
            StateError: nothing the ledger told before makes it.
        """
        wanted = int(start.state.digest, 16)
        left, self._last = list(self._last), ()
        place, records = (start.positions, start.decisions), start.state.records
        while self._digest != wanted or (self.positions, self.decisions) != place or len(self.users) != records:
            if not left:
                raise StateError(
                    f"a worker went on with {start.state.records} users from {_places(start.positions)}, where what"
                    f" the ledger told before leads to {len(self.users)} users, durable up to"
                    f" {_places(self.positions)}."
                    " Something else wrote the state (`forestay repair --write`, `forestay backfill`), or the ledger"
                    " is not whole. What came before cannot be joined to it: rerun a recording whose ledger begins"
                    " after that, beside one of the changelog (docs/replay.md)"
                )
            self._apply(left.pop(0))

    def _apply(self, record: OutputRecord) -> None:
        key, value, _ = record
        if key == MARK_KEY:
            self.mark = decode_mark(value or b"")
            return
        user_id = (key or b"").decode()
        before = self.users.pop(user_id, None)
        if before is not None:
            self._digest ^= user_hash(user_id, before)
        if value is not None:
            self.users[user_id] = value
            self._digest ^= user_hash(user_id, value)


def _places(positions: Mapping[str, int]) -> str:
    return ", ".join(f"{topic} {offset}" for topic, offset in sorted(positions.items())) or "the beginning"
