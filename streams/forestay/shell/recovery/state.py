"""The records of one partition's changelog, newest by key, and what they say."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from forestay.core.budget.records import RESERVATION_PREFIX, decode_reservation
from forestay.core.errors import StateError
from forestay.core.state.mark import PartitionMark, StateTopics
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import (
    MARK_KEY,
    TOPICS_KEY,
    check_known_version,
    decode_mark,
    decode_topics,
    is_reservation,
    is_users,
)

_Told = TypeVar("_Told", PartitionMark, StateTopics)
#: Takes a user's record.
Check = Callable[[bytes], object]


class Spoilt(NamedTuple):
    """A record that is not what was written: its value, and what is wrong."""

    value: bytes
    reason: str


class Counted(NamedTuple):
    """Users found in a partition's changelog, and of how many there are records behind the last mark.

    `behind` counts all of these, `living` those that are not tombstones: part of a commit that did not end, or of a
    backfill. Which of them the mark had counted cannot be known once compaction has been there.
    """

    users: int
    behind: int
    living: int


class StateFound(NamedTuple):
    """Users and reservations as their records, the mark, the topics beside them, and what cannot be read, by key."""

    users: dict[str, bytes]
    mark: PartitionMark | None
    topics: StateTopics
    spoilt: dict[bytes, Spoilt]
    counted: Counted


class ChangelogReading:
    """Takes a partition's records in order, and tells at the end what they say."""

    def __init__(self) -> None:
        """Starts with nothing read."""
        self._latest: dict[bytes, bytes | None] = {}
        #: Keys met since the last mark; None before the first.
        self._behind: set[bytes] | None = None
        self._mark: bytes | None = None
        self._spoilt: dict[bytes, Spoilt] = {}

    def take(self, records: Sequence[Any]) -> None:
        """Takes the next records."""
        latest = self._latest
        for record in records:
            latest[record.key] = record.value
        mark = latest.get(MARK_KEY)
        if mark is not self._mark:
            self._mark = mark
            self._behind = set()
            records = _after_mark(records)
        if self._behind is not None:
            self._behind.update([record.key for record in records])

    def found(self, check: Check = check_known_version) -> StateFound:
        """Returns what was read; nothing may be taken after it. `check` raises StateError for a bad record."""
        latest, spoilt = self._latest, self._spoilt
        mark = self._read(MARK_KEY, decode_mark)
        topics = self._read(TOPICS_KEY, decode_topics)
        behind = self._behind or set()
        behind = {key for key in behind if is_users(key)}
        living = sum(latest.get(key) is not None for key in behind)
        users: dict[str, bytes] = {}
        # Emptied as it is read: there are never two of a million records.
        for key in list(latest):
            value = latest.pop(key)
            if value is None:
                continue
            try:
                record = unsealed(key, value)
                (decode_reservation if is_reservation(key) else check)(record)
                users[key.decode()] = record
            except (StateError, UnicodeDecodeError) as error:
                spoilt[key] = Spoilt(value, str(error))
        reserved = sum(name.startswith(RESERVATION_PREFIX) for name in users)
        count = len(users) - reserved + sum(map(is_users, spoilt))
        return StateFound(users, mark, topics or StateTopics(), spoilt, Counted(count, len(behind), living))

    def _read(self, key: bytes, decode: Callable[[bytes], _Told]) -> _Told | None:
        value = self._latest.pop(key, None)
        if value is None:
            return None
        try:
            return decode(unsealed(key, value))
        except StateError as error:
            self._spoilt[key] = Spoilt(value, str(error))
            return None


def _after_mark(records: Sequence[Any]) -> Sequence[Any]:
    for index in range(len(records) - 1, -1, -1):
        if records[index].key == MARK_KEY:
            return records[index + 1 :]
    return records
