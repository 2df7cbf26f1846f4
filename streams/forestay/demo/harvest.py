"""Collects what is read from the output topics, for the progress display first and the books later."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from forestay.core.errors import StateError
from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.state.mark import PartitionMark
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import MARK_KEY, decode_mark, decode_user, is_users
from forestay.core.state.user_state import UserState
from forestay.output_reading import (
    SeenAction,
    SeenDeadLetter,
    SeenDecision,
    Unreadable,
    read_action,
    read_dead_letter,
    read_decision,
)
from forestay.settings import TopicSettings

#: The books name a few unreadable records; beyond these they are only counted as text "more".
_MAX_UNREADABLE: Final = 1_000


class Raw(NamedTuple):
    """One record as read: Kafka coordinates, times in epoch ms, bytes."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    arrived: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes]] = ()


class Harvest:
    """All decisions, actions and dead letters read so far, and the newest state record of each user."""

    def __init__(self, topics: TopicSettings) -> None:
        """Starts empty; `topics` tells which record is what."""
        self.decisions: list[SeenDecision] = []
        self.actions: list[SeenAction] = []
        self.dead_letters: list[SeenDeadLetter] = []
        self.unreadable: list[str] = []
        self.rungs: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self._states: dict[tuple[int, bytes], bytes] = {}
        self._users = 0
        self._takers = {
            topics.decisions: self._take_decision,
            topics.actions: self._take_action,
            topics.dead_letters: self._take_dead_letter,
            topics.state: self._take_state,
        }

    @property
    def topics(self) -> tuple[str, ...]:
        """Returns the topics to read."""
        return tuple(self._takers)

    @property
    def users(self) -> int:
        """Returns how many users have a state record; may be asked while another thread takes records."""
        return self._users

    def take(self, raw: Raw) -> None:
        """Takes one record; what cannot be read is noted for the books."""
        try:
            self._takers[raw.topic](raw)
        except Unreadable as error:
            self._note(f"{raw.topic}-{raw.partition}@{raw.offset}: {error}")

    def _take_decision(self, raw: Raw) -> None:
        seen = read_decision(raw.value, raw.timestamp, raw.arrived)
        self.decisions.append(seen)
        self.rungs[seen.record.churn.rung or "none"] += 1

    def _take_action(self, raw: Raw) -> None:
        seen = read_action(raw.value, raw.timestamp, raw.arrived)
        self.actions.append(seen)
        self.kinds[seen.record.kind] += 1

    def _take_dead_letter(self, raw: Raw) -> None:
        self.dead_letters.append(read_dead_letter(raw.key, raw.value, raw.headers))

    def _take_state(self, raw: Raw) -> None:
        if raw.key is None:
            raise Unreadable("a state record without a key")
        place = raw.partition, raw.key
        known = place in self._states
        if raw.value is None:
            self._states.pop(place, None)
        else:
            self._states[place] = raw.value
        if is_users(raw.key):
            self._users += (place in self._states) - known

    def _note(self, what: str) -> None:
        if len(self.unreadable) < _MAX_UNREADABLE:
            self.unreadable.append(what)

    def states(self) -> tuple[dict[str, UserState], dict[int, PartitionMark]]:
        """Returns the newest state of every user, and the mark of every partition; notes what is damaged."""
        users: dict[str, UserState] = {}
        marks: dict[int, PartitionMark] = {}
        for (partition, key), value in sorted(self._states.items()):
            try:
                if key == MARK_KEY:
                    marks[partition] = decode_mark(unsealed(key, value))
                    continue
                if not is_users(key):
                    continue
                user_id = key.decode()
                if user_id in users:
                    self._note(f"user {user_id} has state in more than one partition")
                users[user_id] = decode_user(unsealed(key, value), DEFAULT_FEATURES)
            except (StateError, UnicodeDecodeError) as error:
                self._note(f"state record of {key!r} in partition {partition}: {error}")
        return users, marks
