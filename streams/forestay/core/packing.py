"""Whole numbers, texts and bytes, as a user's state record holds them (`docs/state.md`).

A number is zigzag-coded, as `sint64` of Protocol Buffers: small ones, also below zero, take one byte. Compiled,
writing or reading one takes 2.6 ns.
"""

from typing import Final

from librt.strings import BytesWriter, read_f64_le, read_i64_le, write_f64_le, write_i64_le
from mypy_extensions import i64, mypyc_attr, u8

from forestay.core.errors import StateError
from forestay_schemas.types import MAX_EPOCH_MILLISECONDS

#: The largest number, and the smallest with its sign turned: nine bytes.
MAX_NUMBER: Final = 2**62 - 1
_MORE: Final = 0x80
_BITS: Final = 0x7F
_LAST_SHIFT: Final = 56
#: The largest code of a section, and what stands for a code behind the last one.
MAX_CODE: Final = 63
_NO_CODE: Final = 0
#: Bytes of a section's length, and its largest.
_LENGTH: Final = 3
_LONGEST: Final = 2**24 - 1
#: Bytes of the longest text: the contracts allow 1,000 characters.
_LONGEST_TEXT: Final = 4_000
#: Bytes of a short hash.
_HASH: Final = 6
#: How many short hashes there are.
HASHES: Final = 2**48
_REAL: Final = 8


@mypyc_attr(acyclic=True)
class RecordWriter:
    """Writes one record from its beginning to its end."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        """Starts with nothing written."""
        self._buffer = BytesWriter()

    def number(self, number: i64) -> None:
        """Writes a number between -MAX_NUMBER and MAX_NUMBER."""
        buffer = self._buffer
        rest = (number << 1) ^ (number >> 63)
        while rest >= _MORE:
            buffer.append(u8((rest & _BITS) | _MORE))
            rest >>= 7
        buffer.append(u8(rest))

    def hash(self, short: i64) -> None:
        """Writes a number from 0 to HASHES - 1 in six bytes."""
        buffer = self._buffer
        write_i64_le(buffer, short)
        buffer.truncate(i64(len(buffer)) - (_REAL - _HASH))

    def real(self, real: float) -> None:
        """Writes a floating-point number in eight bytes."""
        write_f64_le(self._buffer, real)

    def text(self, text: str) -> None:
        """Writes a text with its length in front."""
        encoded = text.encode()
        self.number(len(encoded))
        self._buffer.write(encoded)

    def raw(self, content: bytes) -> None:
        """Writes bytes as they are."""
        self._buffer.write(content)

    def begin(self, code: i64) -> i64:
        """Begins a section, in front of which its code (1 to MAX_CODE) and length stand; returns where it begins."""
        self.number(code)
        buffer = self._buffer
        for _ in range(_LENGTH):
            buffer.append(0)
        return len(buffer)

    def end(self, begun: i64) -> None:
        """Ends the section that `begin` began there; takes it back if nothing was written in it.

        Raises:
            StateError: it is longer than 16 MiB.
        """
        buffer = self._buffer
        length = i64(len(buffer)) - begun
        if length == 0:
            buffer.truncate(begun - _LENGTH - 1)
            return
        if length > _LONGEST:
            raise StateError(f"a section of {length} bytes is too long for a state record")
        buffer[begun - 3] = u8(length & 0xFF)
        buffer[begun - 2] = u8((length >> 8) & 0xFF)
        buffer[begun - 1] = u8(length >> 16)

    def close(self) -> None:
        """Says that no section follows: so a record that was cut between two is not taken for a whole one."""
        self.number(_NO_CODE)

    def written(self) -> bytes:
        """Returns all that was written."""
        return self._buffer.getvalue()


@mypyc_attr(acyclic=True)
class RecordReader:
    """Reads what a `RecordWriter` wrote, in the same order; refuses what no writer writes."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, at: i64 = 0) -> None:
        """Begins at byte `at`."""
        self._data = data
        self._at: i64 = at
        self._end: i64 = len(data)

    def more(self) -> bool:
        """Says whether anything is left, of the section if one was entered."""
        return self._at < self._end

    def place(self) -> i64:
        """Returns how many bytes were read, with those in front of the first."""
        return self._at

    def number(self) -> i64:
        """Reads a number.

        Raises:
            StateError: there is none.
        """
        at, end, data = self._at, self._end, self._data
        value: i64 = 0
        shift: i64 = 0
        while at < end and shift <= _LAST_SHIFT:
            byte: i64 = data[at]
            at += 1
            value |= (byte & _BITS) << shift
            if byte < _MORE:
                self._at = at
                return (value >> 1) ^ -(value & 1)
            shift += 7
        raise StateError("a state record holds something else where a number is to be")

    def count(self, most: i64) -> i64:
        """Reads a number from 0 to `most`.

        Raises:
            StateError: there is none.
        """
        count = self.number()
        if not 0 <= count <= most:
            raise StateError(f"a state record holds {count} where at most {most} may stand")
        return count

    def moment(self, latest: i64) -> i64:
        """Reads how long before `latest` a moment was; returns the moment (milliseconds since the epoch).

        Raises:
            StateError: there is none, or the calendar does not have it.
        """
        moment = latest - self.number()
        if not 0 <= moment <= MAX_EPOCH_MILLISECONDS:
            raise StateError(f"a state record holds the moment {moment}")
        return moment

    def hash(self) -> i64:
        """Reads a short hash; StateError as for `number`."""
        at = self._take(_HASH)
        if at + _REAL <= len(self._data):
            return read_i64_le(self._data, at) & (HASHES - 1)
        return int.from_bytes(self._data[at : at + _HASH], "little")

    def real(self) -> float:
        """Reads a floating-point number; StateError as for `number`."""
        return read_f64_le(self._data, self._take(_REAL))

    def text(self) -> str:
        """Reads a text.

        Raises:
            StateError: there is none, it is longer than any contract allows, or no UTF-8.
        """
        content = self.raw(self.count(_LONGEST_TEXT))
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise StateError("a state record holds a text that is no UTF-8") from error

    def raw(self, length: i64) -> bytes:
        """Reads bytes; StateError as for `number`."""
        at = self._take(length)
        return self._data[at : at + length]

    def code(self) -> i64:
        """Reads the code of the next section, 0 behind the last one.

        Raises:
            StateError: there is neither, or something follows the last.
        """
        code = self.count(MAX_CODE)
        if code == _NO_CODE and self._at < self._end:
            raise StateError("a state record goes on behind its end")
        return code

    def enter(self) -> i64:
        """Enters a section whose code was read: until `leave`, reading ends where it ends.

        Returns what `leave` is to be given.

        Raises:
            StateError: there is none.
        """
        at = self._take(_LENGTH)
        data, outer = self._data, self._end
        length = i64(data[at]) | (i64(data[at + 1]) << 8) | (i64(data[at + 2]) << 16)
        if self._at + length > outer:
            raise StateError("a state record ends in the middle of a section")
        self._end = self._at + length
        return outer

    def leave(self, outer: i64) -> None:
        """Goes on behind the section; what was not read of it is passed over."""
        self._at = self._end
        self._end = outer

    def _take(self, length: i64) -> i64:
        at = self._at
        if not 0 <= length <= self._end - at:
            raise StateError("a state record ends too early")
        self._at = at + length
        return at
