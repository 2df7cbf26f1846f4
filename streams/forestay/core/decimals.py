"""Numbers as JSON text: whole numbers, and floating-point ones that are hundredths, which nearly all features are."""

from typing import Final

import msgspec
from librt.strings import BytesWriter
from mypy_extensions import i64, u8

_TEN: Final = 10
_ZERO: Final = 48
_POINT: Final = 46
_MINUS: Final = 45
_encode: Final = msgspec.json.Encoder().encode
#: Decimals of at most 15 digits and doubles correspond one to one: below this, hundredths are the shortest text.
_EXACT: Final = 1e13


def write_whole(buffer: BytesWriter, number: i64) -> None:
    """Writes a whole number."""
    if number < 0:
        buffer.append(_MINUS)
        number = -number
    scale: i64 = 1
    while number // scale >= _TEN:
        scale *= _TEN
    while scale:
        buffer.append(u8(_ZERO + number // scale % _TEN))
        scale //= _TEN


def write_real(buffer: BytesWriter, real: float) -> None:
    """Writes a number as the shortest text that reads as the same double: whole ones with `.0`, no signed zero."""
    if not 0.0 <= real < _EXACT:
        buffer.write(_encode(real))
        return
    hundredths = i64(int(real * 100.0 + 0.5))
    if float(hundredths) / 100.0 != real:
        buffer.write(_encode(real))
        return
    write_whole(buffer, hundredths // 100)
    buffer.append(_POINT)
    cents = hundredths % 100
    buffer.append(u8(_ZERO + cents // _TEN))
    if cents % _TEN:
        buffer.append(u8(_ZERO + cents % _TEN))
