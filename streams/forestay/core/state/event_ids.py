"""Which events were seen: two generations of event ids, each as long as the allowed lateness.

When an event is newer than the beginning of the generation by more than the lateness, the generation becomes
the old one, and the old one is forgotten. What is forgotten is exact: its events were no newer than the
beginning, so by then the watermark has left each of them behind by more than the lateness, and a repeat of one
is too late.
"""

from typing import Final

from librt.strings import BytesWriter, read_i64_le, write_i64_le
from librt.vecs import append, vec
from mypy_extensions import i16, i64, mypyc_attr

from forestay.core.event import NEVER
from forestay.core.packing import HASHES, RecordReader, RecordWriter

#: Ids of one generation: with more, the next begins. So at least so many newest ids are known.
MAX_IDS: Final = 256
#: An id is told apart by 48 bits, six bytes: with 512 known, a new one seems a repeat with a chance of 2e-12.
_BITS: Final = HASHES - 1
_BYTES: Final = 6
#: Up to so many are searched one by one (at most 12 ns); a table of more costs 8 ns, and 4 to 8 bytes an id.
_FEW: Final = 16
#: So many are worth being packed in words: 500 take 0.5 us instead of 1 us.
_MANY: Final = 12


@mypyc_attr(acyclic=True)
class EventIds:
    """One user's event ids."""

    __slots__ = ("_in_table", "_table", "began", "closed", "ids", "latest", "old")

    def __init__(self) -> None:
        """Starts without any."""
        self.began: i64 = NEVER
        #: The newest moment of the events under this id; a user who took in another's may have newer ones.
        self.latest: i64 = NEVER
        #: The newest moment when the old generation ended.
        self.closed: i64 = NEVER
        #: The old generation and then the new one, each in order of arrival; the first `old` are the old one.
        self.ids = vec[i64]()
        self.old: i64 = 0
        #: Open addressing: where in `ids` an id stands, counted from 1; of as many as there were when asked.
        self._table = vec[i16]()
        self._in_table: i64 = 0

    def forget(self, oldest: i64) -> None:
        """Forgets what only a repeat older than `oldest` could match.

        To be called before each use with the watermark as it is then: a record, which leaves it out as well, then
        says the same as memory, whenever it was written.
        """
        if self.latest < oldest:
            self.began = self.closed = self.latest = NEVER
            self._drop(len(self.ids))
        elif self.closed < oldest:
            self.closed = NEVER
            self._drop(self.old)

    def seen(self, id_hash: i64) -> bool:
        """Says whether the id is remembered."""
        short = id_hash & _BITS
        ids = self.ids
        at: i64 = len(ids)
        if at > _FEW:
            if at > self._in_table:
                self._fill_table()
            return self._table[self._slot(short)] != 0
        at -= 1
        while at >= 0 and ids[at] != short:
            at -= 1
        return at >= 0

    def add(self, id_hash: i64, ts: i64, lateness: i64) -> None:
        """Remembers the id of an event at `ts`, one that is not remembered; times in milliseconds."""
        before = self.latest
        latest = max(before, ts)
        self.latest = latest
        if latest > self.began + lateness or self.began == NEVER or len(self.ids) - self.old >= MAX_IDS:
            self._drop(self.old)
            self.old = len(self.ids)
            self.began = latest
            self.closed = before
        self.ids = append(self.ids, id_hash & _BITS)

    def write(self, writer: RecordWriter, latest: i64, oldest: i64) -> None:
        """Writes what a repeat not older than `oldest` could match; `latest` is the user's newest moment.

        First how many are new; 0 says that nothing follows. Then how long before `latest` the newest was, and before
        that the beginning; how many are old, and if any are, how long before the beginning they ended. At last the
        ids, the old ones first, six bytes each.
        """
        self.forget(oldest)
        count: i64 = len(self.ids)
        writer.number(count - self.old)
        if count == 0:
            return
        writer.number(latest - self.latest)
        writer.number(self.latest - self.began)
        writer.number(self.old)
        if self.old:
            writer.number(self.began - self.closed)
        _write_ids(writer, self.ids)

    def read(self, reader: RecordReader, latest: i64) -> None:
        """Takes what `write` wrote, into what is empty.

        Raises:
            StateError: it wrote no such thing.
        """
        new = reader.count(MAX_IDS)
        if new == 0:
            return
        self.latest = latest - reader.count(latest)
        self.began = self.latest - reader.count(self.latest)
        self.old = reader.count(MAX_IDS)
        if self.old:
            self.closed = self.began - reader.count(self.began)
        self.ids = _read_ids(reader, self.old + new)

    def _drop(self, count: i64) -> None:
        """Forgets the first ids, at least those of the old generation."""
        if count:
            self.ids = self.ids[count:]
            self._table = vec[i16]()
            self._in_table = 0
        self.old = 0

    def _slot(self, short: i64) -> i64:
        """Returns the place of the id in the table, or where it is to be put: at least half of the table is empty."""
        ids, table = self.ids, self._table
        mask: i64 = len(table) - 1
        slot = short & mask
        while True:
            at = i64(table[slot]) - 1
            if at < 0 or ids[at] == short:
                return slot
            slot = (slot + 1) & mask

    def _fill_table(self) -> None:
        """Puts into the table what was added since."""
        ids = self.ids
        count: i64 = len(ids)
        if 2 * count > len(self._table):
            self._table = _empty_table(2 * count)
            self._in_table = 0
        at = self._in_table
        while at < count:
            slot = self._slot(ids[at])
            self._table[slot] = i16(at + 1)
            at += 1
        self._in_table = count


def _empty_table(least: i64) -> vec[i16]:
    """Returns a table of at least `least` empty places, a power of two."""
    size: i64 = 4 * _FEW
    while size < least:
        size *= 2
    table = vec[i16](capacity=size)
    while size:
        table = append(table, 0)
        size -= 1
    return table


def _write_ids(writer: RecordWriter, ids: vec[i64]) -> None:
    """Writes each as `RecordWriter.hash` does, most of them four at once in three words."""
    count: i64 = len(ids)
    at: i64 = 0
    if count >= _MANY:
        packed = BytesWriter()
        while at + 4 <= count:
            second, third, fourth = ids[at + 1], ids[at + 2], ids[at + 3]
            # What goes up to the end of a word is given a sign first: plain Python has no numbers that wrap.
            two = ((second & (2**16 - 1)) ^ 2**15) - 2**15
            four = ((third & (2**32 - 1)) ^ 2**31) - 2**31
            six = (fourth ^ 2**47) - 2**47
            write_i64_le(packed, ids[at] | two << 48)
            write_i64_le(packed, second >> 16 | four << 32)
            write_i64_le(packed, third >> 32 | six << 16)
            at += 4
        writer.raw(packed.getvalue())
    while at < count:
        writer.hash(ids[at])
        at += 1


def _read_ids(reader: RecordReader, count: i64) -> vec[i64]:
    ids = vec[i64](capacity=count)
    if count < _MANY:
        while count:
            ids = append(ids, reader.hash())
            count -= 1
        return ids
    packed = reader.raw(count * _BYTES)
    at: i64 = 0
    while at < (count - 1) * _BYTES:
        ids = append(ids, read_i64_le(packed, at) & _BITS)
        at += _BYTES
    # Behind the last there is nothing that would fill its word.
    return append(ids, read_i64_le(packed, at - 2) >> 16 & _BITS)
