"""The users of one partition: those in use as live objects, the others packed as their state records.

A million users are held in 1 GiB this way: a packed user costs its record and about 200 bytes, a live one
4 to 15 kB. A user is unpacked at the first touch, and packed again at a checkpoint once `live_users` others have
been touched since; the more users are packed, the fewer stay live.
"""

from typing import Final

from mypy_extensions import i64

from forestay.core.clock.schedule import Schedule
from forestay.core.clock.timers import Timers
from forestay.core.event import NEVER
from forestay.core.feature_set import FeatureSet
from forestay.core.state.state_codec import decode_user, encode_user, timer_minute, with_minute
from forestay.core.state.user_state import UserState

#: Packed users that take as much memory as a live and a cooling one.
_PACKED_FOR_LIVE: Final = 10
#: However many are packed, about so many stay live, unless even fewer are wanted.
_FEWEST_LIVE: Final = 1_000


class Users:
    """State by user id; a user is live or packed, never both."""

    def __init__(self, features: FeatureSet, schedule: Schedule, lateness: i64, live_users: int) -> None:
        """`lateness` in milliseconds; before a user is packed, about `live_users` others are touched, or fewer."""
        self.timers = Timers()
        #: The partition's, in milliseconds; its owner keeps it up.
        self.watermark: i64 = NEVER
        self._features = features
        self._schedule = schedule
        self._lateness: i64 = lateness
        self._most_live = live_users
        self._live: dict[str, UserState] = {}
        #: Users not touched since the last turn, and packed at the next.
        self._cooling: dict[str, UserState] = {}
        self._packed: dict[str, bytes] = {}
        self._dirty: set[str] = set()

    def __len__(self) -> int:
        """Returns how many users there are."""
        return len(self._live) + len(self._cooling) + len(self._packed)

    def ids(self) -> list[str]:
        """Returns all user ids, sorted."""
        return sorted([*self._live, *self._cooling, *self._packed])

    def get(self, user_id: str) -> UserState | None:
        """Returns the user's state, None if unknown."""
        state = self._live.get(user_id)
        if state is not None:
            return state
        state = self._cooling.pop(user_id, None)
        if state is None:
            record = self._packed.pop(user_id, None)
            if record is None:
                return None
            state = decode_user(record, self._features)
        self._live[user_id] = state
        return state

    def new(self, user_id: str) -> UserState:
        """Returns the state of a user without events, in place of any known."""
        self.remove(user_id)
        state = UserState(self._features.new_parts())
        self._live[user_id] = state
        return state

    def remove(self, user_id: str) -> None:
        """Forgets the user; the next checkpoint says so if it was durable."""
        self._live.pop(user_id, None)
        self._cooling.pop(user_id, None)
        self._packed.pop(user_id, None)

    def restore(self, records: dict[str, bytes]) -> None:
        """Takes over durable records; each is unpacked at the first touch."""
        self._packed = records
        for user_id, record in records.items():
            minute = timer_minute(record)
            if minute != NEVER:
                self.timers.put(user_id, minute)

    def arm(self, user_id: str, state: UserState) -> None:
        """Makes sure the user is looked at when the next of their outcomes is closed."""
        self.timers.arm(user_id, state, self._schedule.outcome(state))

    def touch(self, user_id: str) -> None:
        """Says that the user's state has changed."""
        self._dirty.add(user_id)

    def changes(self) -> list[tuple[str, bytes | None]]:
        """Returns the records of the users changed since the last call, by id; None for one who is gone."""
        changed: list[tuple[str, bytes | None]] = []
        for user_id in sorted(self._dirty):
            state = self._live.get(user_id) or self._cooling.get(user_id)
            if state is not None:
                changed.append((user_id, self.record(state)))
            else:
                # A user is packed only when nothing of it is unwritten: one that is dirty and packed is as written.
                changed.append((user_id, self._packed.get(user_id)))
        self._dirty.clear()
        return changed

    def cool(self) -> None:
        """Packs who was not touched for a turn; a turn ends when too many are live."""
        fewest = min(self._most_live, _FEWEST_LIVE)
        if len(self._live) <= max(self._most_live - len(self._packed) // _PACKED_FOR_LIVE, fewest):
            return
        for user_id, state in self._cooling.items():
            due = self._schedule.due(state)
            if state.armed == NEVER:
                self.timers.arm(user_id, state, due)
            # Its timer stays where it stands, at or before the due time.
            self._packed[user_id] = with_minute(self._record(state, due), state.armed)
        self._cooling = self._live
        self._live = {}

    def record(self, state: UserState) -> bytes:
        """Returns the state's record as it would be written now."""
        return self._record(state, self._schedule.due(state))

    def _record(self, state: UserState, due: i64) -> bytes:
        # The watermark goes on while the user sleeps: what it has passed need not be kept for a repeat.
        oldest = max(self.watermark, state.event_ids.latest) - self._lateness
        return encode_user(state, self._features, oldest, self._lateness, due)
