"""Numbers are written as JSON as a JSON library writes them, to the last digit."""

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter

from forestay.core.decimals import write_real, write_whole

MANY = settings(max_examples=5_000)
_HUNDREDTHS = st.integers(0, 10**17).map(lambda hundredths: hundredths / 100)


@MANY
@given(_HUNDREDTHS | st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**60).map(float))
@example(0.0)
@example(-0.0)
@example(1e13)
@example(0.005)
@example(0.1 + 0.2)
def test_reals(real: float) -> None:
    buffer = BytesWriter()
    write_real(buffer, real)
    assert buffer.getvalue() == msgspec.json.encode(real + 0.0)


@MANY
@given(st.integers(-(2**62) + 1, 2**62 - 1))
@example(0)
@example(2**62 - 1)
def test_whole_numbers(number: int) -> None:
    buffer = BytesWriter()
    write_whole(buffer, number)
    assert buffer.getvalue() == b"%d" % number
