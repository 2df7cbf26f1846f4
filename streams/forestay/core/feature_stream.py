"""Features as an output of their own: chosen features of the user, written at chosen events."""

from typing import Final, NamedTuple

import msgspec
from librt.strings import BytesWriter
from librt.vecs import vec
from mypy_extensions import i64

from forestay.core.decimals import write_real, write_whole
from forestay.core.feature_set import FeatureSet
from forestay.core.record import OutputRecord
from forestay.core.state.user_state import UserState

_encode: Final = msgspec.json.Encoder().encode


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
        self._wanted: list[vec[i64]] = []
        names: list[str] = []
        for index, family in enumerate(features.families):
            own = [feature.name for feature in family.features]
            wanted = [place for place, name in enumerate(own) if name in chosen]
            if stream.kinds and wanted:
                self._parts.append(index)
                self._wanted.append(vec[i64](wanted))
                names.extend(own[place] for place in wanted)
        self._order = vec[i64]([names.index(name) for name in chosen] if stream.kinds else [])
        #: A row with room for them.
        self._blank = vec[float]([0.0] * len(names))
        #: What stands in front of each value.
        self._names = [b'%b"%b":' % (b"," if at else b"", name.encode()) for at, name in enumerate(chosen)]

    def record(self, user_id: str, state: UserState, ts: i64) -> OutputRecord:
        """Returns the record of the user's features at `ts`, or at the user's newest moment if that is later."""
        latest = state.last_ts
        now = max(ts, latest, state.scored_ts)
        values = self._blank[:]
        end: i64 = 0
        for index in range(len(self._parts)):
            end = state.parts[self._parts[index]].pick(now, latest, self._wanted[index], values, end)
        buffer = BytesWriter()
        buffer.write(b'{"user_id":')
        buffer.write(_encode(user_id))
        buffer.write(b',"ts":')
        write_whole(buffer, ts)
        buffer.write(b',"features":{')
        order = self._order
        for at, name in enumerate(self._names):
            buffer.write(name)
            write_real(buffer, values[order[at]])
        buffer.write(b"}}")
        return OutputRecord(user_id.encode(), buffer.getvalue())
