"""The smallest change of a number that changes the choice, found on a grid and then halved down to its last digit."""

from collections.abc import Callable, Iterator
from math import ceil, floor
from typing import Final, NamedTuple

#: Steps on the way down to the smallest value there can be.
_DOWN: Final = 200
#: Each step upwards is so much longer than the one before, of `Number.scale`.
_UP: Final = 1.02
#: Steps upwards where there is no largest value: to 1,000 times the value, or the scale.
_STEPS: Final = 350


class Number(NamedTuple):
    """What may be changed: its digits after the point, where it ends, and a usual size of it."""

    was: float
    digits: int
    most: float | None = None
    scale: float = 1.0


def nearest_changes(number: Number, is_other: Callable[[float], bool]) -> Iterator[float]:
    """Yields the nearest value above, then the nearest below, at which `is_other`; less where there is none.

    A stretch shorter than a step (1/200 of the way down or up to `most`, else 2 %) in which it is other, and behind
    which it is not, may be stepped over.
    """
    for grid in (_upwards(number), _downwards(number)):
        found = _first(grid, number, is_other)
        if found is not None:
            yield found


def _first(grid: Iterator[int], number: Number, is_other: Callable[[float], bool]) -> float | None:
    per = 10.0**number.digits
    last: int | None = None
    for tick in grid:
        if is_other(tick / per):
            return _halved(last, tick, lambda at: is_other(at / per)) / per
        last = tick
    return None


def _halved(same: int | None, other: int, is_other: Callable[[int], bool]) -> int:
    """Returns the tick nearest to `same` that is other, somewhere between the two."""
    while same is not None and abs(other - same) > 1:
        middle = (same + other) // 2
        if is_other(middle):
            other = middle
        else:
            same = middle
    return other


def _upwards(number: Number) -> Iterator[int]:
    """Yields ticks above the value, nearest first."""
    per = 10**number.digits
    start = floor(number.was * per) + 1
    if number.most is not None:
        end = round(number.most * per)
        if start <= end:
            yield from range(start, end, max((end - start) // _DOWN, 1))
            yield end
        return
    last = start - 1
    base = max(number.was, number.scale) * per
    for step in range(_STEPS):
        tick = start + round(base * (_UP**step - 1))
        if tick > last:
            yield tick
            last = tick


def _downwards(number: Number) -> Iterator[int]:
    """Yields ticks below the value, nearest first."""
    start = ceil(number.was * 10**number.digits) - 1
    if start >= 0:
        yield from range(start, 0, -max(start // _DOWN, 1))
        yield 0
