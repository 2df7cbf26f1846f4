"""Features of all users at one moment, from files of events, whatever the order of the rows.

All events up to the moment are brought together by user and applied in the order of time. So nothing comes too
late, and each event id counts once within each user id; what a worker would have had to refuse as too late counts
here. Ids that are one user are rebuilt apart and merged, as workers do.
"""

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from forestay.core.event import NEVER
from forestay.core.feature_set import Vector
from forestay.core.rules import Rules
from forestay.history.links import Links
from forestay.history.reading import EventFile, Problems
from forestay.history.rebuild import rebuilt
from forestay.history.spill import Spill
from forestay.history.told import History, Told

#: Called with the stage, how much of it is done, and how much there is (None: unknown).
Tell = Callable[[str, int, int | None], None]
#: Between two calls of `Tell`.
STEP: Final = 2_000
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, bytes]).decode


class UserFeatures(NamedTuple):
    """A user, and their features as 32-bit floats in the order of the feature set."""

    user_id: str
    features: Vector


class Snapshot:
    """What files told of all users; `at` is the moment, in milliseconds, `is_empty` says that nothing was before."""

    def __init__(self, rules: Rules, history: History) -> None:
        """Starts with nothing in `history`."""
        self.at = NEVER
        self.is_empty = True
        self.problems = Problems()
        self._rules = rules._replace(deduplicate=True)
        self._history = history
        self._links = Links()
        self._owners: dict[str, str] = {}

    def read(self, files: Sequence[EventFile], at: int | None, tell: Tell) -> None:
        """Takes the events of `files` up to `at`; None: up to the newest event.

        Raises:
            OSError: a file cannot be read.
            ForestayError: a file is damaged.
        """
        newest = NEVER
        for file in files:
            stage = f"reading {file.path.name}"
            for row in file.read():
                if row.position % STEP == 0:
                    tell(stage, row.position, file.rows)
                event = row.event
                if event is None:
                    self.problems.add(file.path, row)
                    continue
                if at is not None and event.ts > at:
                    continue
                newest = max(newest, event.ts)
                self._history.add(Told(event.user_id, event.ts, NEVER, row.value), event.user_id)
                if self._rules.merge_identities:
                    self._links.add(event)
        self.at = newest if at is None else at
        self._owners = self._links.owners(self.at)
        self._history.move(self._owners)
        self.is_empty = newest == NEVER

    def users(self, wanted: Collection[str], tell: Tell) -> Iterator[UserFeatures]:
        """Yields the features of all users with an event, or of those in `wanted` if there are any, sorted by id.

        An id that turned out to be another's is found under that other.
        """
        chosen = {self._owners.get(user_id, user_id) for user_id in wanted}
        buckets = self._history.buckets()
        with Spill(len(buckets)) as rows:
            done = 0
            for bucket in buckets:
                for user_id, told in self._history.users(bucket, self._owners):
                    if not chosen or user_id in chosen:
                        rows.add(bucket, _encode((user_id, self._features(user_id, told).tobytes())))
                    done += 1
                    if done % STEP == 0:
                        tell("computing features, users", done, None)
            yield from heapq.merge(*(map(_user_features, rows.frames(bucket)) for bucket in buckets), key=_user_id)

    def _features(self, user_id: str, told: dict[str, list[Told]]) -> Vector:
        rules = self._rules
        state = rebuilt(user_id, told, rules, self.at)
        # Every event counts that is the first with its id, so there is a state.
        assert state is not None  # noqa: S101
        return rules.features.vector(state.parts, self.at, state.last_ts)


def _user_features(frame: bytes) -> UserFeatures:
    user_id, vector = _decode(frame)
    return UserFeatures(user_id, np.frombuffer(vector, dtype=np.float32))


def _user_id(row: UserFeatures) -> str:
    return row.user_id
