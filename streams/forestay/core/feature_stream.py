"""Features as an output of their own: chosen features of the user, written at chosen events."""

from typing import NamedTuple

import msgspec

from forestay.core.feature_set import FeatureSet
from forestay.core.record import OutputRecord
from forestay.core.user_state import UserState

_encode = msgspec.json.Encoder().encode


class FeatureStream(NamedTuple):
    """Which features are written out, at which event kinds; no name: all."""

    kinds: frozenset[int] = frozenset()
    names: tuple[str, ...] = ()


class FeatureWriter:
    """Writes `{"user_id", "ts", "features": {name: value}}`; `ts` is the event's, in epoch milliseconds."""

    def __init__(self, features: FeatureSet, stream: FeatureStream) -> None:
        """Works out which families the chosen features need; the others are not computed."""
        chosen = stream.names or features.names
        self._parts: list[int] = []
        #: For each of these parts, the places of what is chosen among its family's features.
        self._wanted: list[list[int]] = []
        names: list[str] = []
        for index, family in enumerate(features.families):
            own = [feature.name for feature in family.features]
            wanted = [place for place, name in enumerate(own) if name in chosen]
            if stream.kinds and wanted:
                self._parts.append(index)
                self._wanted.append(wanted)
                names.extend(own[place] for place in wanted)
        self._order = [names.index(name) for name in chosen] if stream.kinds else []
        self._features = msgspec.defstruct("Features", [(name, float) for name in chosen])

    def record(self, user_id: str, state: UserState, ts: int) -> OutputRecord:
        """Returns the record of the user's features at `ts`, or at the user's newest moment if that is later."""
        latest = state.last_ts
        now = max(ts, latest, state.scored_ts)
        values: list[float] = []
        for at in range(len(self._parts)):
            state.parts[self._parts[at]].pick(now, latest, self._wanted[at], values)
        chosen = self._features(*[values[at] for at in self._order])
        return OutputRecord(user_id.encode(), _encode({"user_id": user_id, "ts": ts, "features": chosen}))
