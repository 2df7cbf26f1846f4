"""Which events were seen: two generations of event ids, each as long as the allowed lateness.

When an event is newer than the beginning of the generation by more than the lateness, the generation becomes
the old one, and the old one is forgotten. What is forgotten is exact: its events were no newer than the
beginning, so by then the watermark has left each of them behind by more than the lateness, and a repeat of one
is too late.
"""

from array import array
from typing import Any, Final

from mypy_extensions import mypyc_attr

from forestay.core.event import NEVER

#: Ids of one generation, 8 bytes each: with more, the next begins. So at least so many newest ids are known.
MAX_IDS: Final[int] = 256
#: Values written where the newest moment of these ids is the user's.
_USUAL: Final[int] = 4


@mypyc_attr(acyclic=True)
class EventIds:
    """One user's event ids."""

    __slots__ = ("_packed_new", "_packed_old", "_unpacked", "began", "closed", "latest", "new", "old")

    def __init__(self) -> None:
        """Starts without any."""
        self.began = NEVER
        #: The newest moment of the events under this id; a user who took in another's may have newer ones.
        self.latest = NEVER
        #: The newest moment when the old generation ended.
        self.closed = NEVER
        self.new: dict[object, None] = {}
        self.old: dict[object, None] = {}
        #: Both as they are written, and which of the new ones are not in that yet.
        self._packed_new = b""
        self._packed_old = b""
        self._unpacked: list[object] = []

    def forget(self, oldest: int) -> None:
        """Forgets what only a repeat older than `oldest` could match.

        To be called before each use with the watermark as it is then: a record, which leaves it out as well, then
        says the same as memory, whenever it was written.
        """
        if self.latest < oldest:
            self.began = self.closed = self.latest = NEVER
            self.new = {}
            self.old = {}
            self._packed_new = self._packed_old = b""
            self._unpacked = []
        elif self.closed < oldest:
            self.closed = NEVER
            self.old = {}
            self._packed_old = b""

    def seen(self, id_hash: object) -> bool:
        """Says whether the id is remembered."""
        return id_hash in self.new or id_hash in self.old

    def add(self, id_hash: object, ts: int, lateness: int) -> None:
        """Remembers the id of an event at `ts`; times in milliseconds."""
        before = self.latest
        latest = max(before, ts)
        self.latest = latest
        if latest > self.began + lateness or self.began == NEVER or len(self.new) >= MAX_IDS:
            self._packed_old = self._pack()
            self._packed_new = b""
            self.old = self.new
            self.new = {}
            self.began = latest
            self.closed = before
        known = len(self.new)
        self.new[id_hash] = None
        if len(self.new) != known:
            self._unpacked.append(id_hash)

    def to_plain(self, latest: int, oldest: int) -> list[Any]:
        """Writes what a repeat not older than `oldest` could match; `latest` is the user's newest moment."""
        self.forget(oldest)
        if self.began == NEVER:
            return []
        plain = [self.began, self.closed, self._pack(), self._packed_old]
        if self.latest != latest:
            plain.append(self.latest)
        return plain

    def read(self, plain: list[Any], latest: int) -> None:
        """Takes what `to_plain` wrote."""
        if plain:
            self.began = plain[0]
            self.closed = plain[1]
            self._packed_new = plain[2]
            self._packed_old = plain[3]
            self.new = _unpack(plain[2])
            self.old = _unpack(plain[3])
            self.latest = plain[4] if len(plain) > _USUAL else latest

    def _pack(self) -> bytes:
        """Returns the new ones as they are written."""
        if self._unpacked:
            self._packed_new += array("q", self._unpacked).tobytes()  # type: ignore[type-var]
            self._unpacked = []
        return self._packed_new


def _unpack(packed: bytes) -> dict[object, None]:
    ids = array("q")
    ids.frombytes(packed)
    return dict.fromkeys(ids)
