"""Decisions and actions as they were recorded, to hold what is made against."""

from typing import Final, NamedTuple

import msgspec
from xxhash import xxh3_128_digest

from forestay.core.decision.situation import action_id_of
from forestay.core.record import OutputRecord
from forestay.recording import RecordingError
from forestay.rerun.outputs import Kind
from forestay.rerun.reading import Rows
from forestay.rerun.scores import ScoreBook
from forestay.settings import TopicSettings

#: What a record that came twice, with other bytes the second time, is never equal to.
_TWO_CONTENTS: Final = b""


class _Decided(msgspec.Struct, frozen=True):
    decision_id: str


class _Acted(msgspec.Struct, frozen=True):
    action_id: str


class _Seen(NamedTuple):
    """A recorded value: a digest of it, and where it stands."""

    digest: bytes
    partition: int
    offset: int


_decided: Final = msgspec.json.Decoder(_Decided).decode
_acted: Final = msgspec.json.Decoder(_Acted).decode


def name_of(kind: Kind, value: bytes) -> str:
    """Returns the id of a decision or an action.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _decided(value).decision_id if kind is Kind.DECISIONS else _acted(value).action_id


class RecordedOutputs:
    """What was recorded of decisions and actions, by id: about 250 bytes each; nothing of a kind not recorded."""

    def __init__(self, recordings: Rows, topics: TopicSettings, book: ScoreBook) -> None:
        """Reads all of them; decisions go into `book` too.

        Raises:
            RecordingError: a recording is damaged, or a record is none.
        """
        names = {topics.decisions: Kind.DECISIONS, topics.actions: Kind.ACTIONS}
        self._seen: dict[Kind, dict[str, _Seen]] = {
            kind: {} for topic, kind in names.items() if topic in recordings.topics
        }
        for row in recordings.rows(names):
            kind, value = names[row.topic], row.value or b""
            try:
                name = name_of(kind, value)
                if kind is Kind.DECISIONS:
                    book.add(value)
            except msgspec.DecodeError as error:
                raise RecordingError(f"{row.topic}-{row.partition}@{row.offset} cannot be read: {error}") from error
            digest = xxh3_128_digest(value)
            before = self._seen[kind].get(name)
            if before is None:
                self._seen[kind][name] = _Seen(digest, row.partition, row.offset)
            elif before.digest != digest:
                self._seen[kind][name] = before._replace(digest=_TWO_CONTENTS)
        self._unmade = {kind: set(seen) for kind, seen in self._seen.items()}

    def meet(self, kind: Kind, record: OutputRecord) -> bool:
        """Says whether a record that was made, or taken as made, was recorded with the same bytes."""
        seen = self._seen.get(kind)
        if seen is None:
            return True
        value = record.value or b""
        name = name_of(kind, value)
        self._unmade[kind].discard(name)
        return name in seen and seen[name].digest == xxh3_128_digest(value)

    def partition(self, kind: Kind, name: str) -> int:
        """Returns the partition of a recorded one."""
        return self._seen[kind][name].partition

    def unmade(self, begins: dict[int, int], ends: dict[int, int]) -> dict[Kind, list[str]]:
        """Returns the ids of what was recorded and never met, by kind, sorted.

        By partition, decisions before `begins` are not made again, and those from `ends` on are not told by the
        ledger. Of actions, all are looked at only where all decisions are.
        """
        decisions = self._seen.get(Kind.DECISIONS, {})
        left = self._unmade.get(Kind.DECISIONS, set())
        beyond = {name for name in left if not _is_between(decisions[name], begins, ends)}
        found = {Kind.DECISIONS: sorted(left - beyond), Kind.ACTIONS: []}
        if decisions and not any(begins.values()):
            acted = {action_id_of(name) for name in beyond}
            found[Kind.ACTIONS] = sorted(self._unmade.get(Kind.ACTIONS, set()) - acted)
        return {kind: names for kind, names in found.items() if names}


def _is_between(seen: _Seen, begins: dict[int, int], ends: dict[int, int]) -> bool:
    return begins.get(seen.partition, 0) <= seen.offset < ends.get(seen.partition, 0)
