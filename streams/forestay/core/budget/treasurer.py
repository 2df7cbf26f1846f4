"""How what is left of a budget is to lie over partitions: by what they spend, and so that a dear offer fits.

Pure arithmetic on whole units; who runs it is `exchange.py`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

#: What partitions have spent counts beside so much of the limit, spread evenly: they begin alike.
_EVEN_PART: Final = 1
#: A partition is left alone while it has this share more or less than it should.
_BAND: Final = 8


class Standing(NamedTuple):
    """What one partition has taken and has left, and the dearest offer that it had to refuse lately, in units."""

    taken: int
    left: int
    want: int


class Moves(NamedTuple):
    """Units that the treasurer gives to partitions now, and units that it asks them for."""

    gives: dict[int, int]
    calls: dict[int, int]


def moves(standings: Mapping[int, Standing], treasurer: int, limit: int) -> Moves:
    """Returns what is to move so that each has its part; all goes by way of the `treasurer`, one of them."""
    parts = _parts(standings, limit)
    found = Moves({}, {})
    spare = standings[treasurer].left - parts[treasurer]
    short = {
        number: parts[number] - one.left
        for number, one in standings.items()
        if number != treasurer and _is_off(one, parts[number])
    }
    # Who cannot make an offer goes first, then who has least; by number, where that is the same.
    for number in sorted(short, key=lambda each: (standings[each].want <= standings[each].left, -short[each], each)):
        if short[number] < 0:
            found.calls[number] = -short[number]
        elif spare > 0:
            found.gives[number] = min(short[number], spare)
            spare -= found.gives[number]
    return found


def _is_off(one: Standing, part: int) -> bool:
    return abs(part - one.left) * _BAND > part or one.left < one.want <= part


def _parts(standings: Mapping[int, Standing], limit: int) -> dict[int, int]:
    """Returns what each is to have of what is left: what it wants at least, as far as there is enough."""
    total = max(sum(one.left for one in standings.values()), 0)
    even = limit // (_EVEN_PART * len(standings)) + 1
    weights = {number: one.taken + even for number, one in standings.items()}
    whole = sum(weights.values())
    parts = {number: total * weight // whole for number, weight in weights.items()}
    wanting = sorted(number for number, one in standings.items() if one.want > parts[number])
    served = dict[int, int]()
    for number in wanting:
        want = standings[number].want
        if want > total:
            continue
        total -= want
        served[number] = want
    whole -= sum(weights[number] for number in served)
    return {
        number: served[number] if number in served else total * weights[number] // max(whole, 1) for number in parts
    }
