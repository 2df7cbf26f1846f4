"""The price of a budget: how much more than a unit a unit is worth now, so that the budget lasts as planned.

An offer is worth what it earns less its cost times the price. The price is the dual variable of the budget in the
linear programme that spends it best; it moves by a multiplicative step against the plan, which is mirror descent on
the dual with an entropic mirror (Balseiro, Lu, Mirrokni, "Dual mirror descent for online allocation problems", ICML
2020). Steps are long while little is known, and shorten. Only +, -, * and / are used: the same bytes everywhere.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from forestay.core.budget.budget import Span
from forestay.core.units import DAY, HOUR

#: A unit costs itself at least.
LEAST_PRICE: Final = 1.0
MOST_PRICE: Final = 1e6
#: A period has this many steps where all goes as planned: one a minute of a day.
STEPS: Final = 1_440
#: More of them where spending runs ahead: after so many steps' worth of it there is one.
_AHEAD: Final = 2
#: Gain of the first steps and of the last; the first halves after so many steps.
_FIRST_GAIN: Final = 0.5
_LAST_GAIN: Final = 5 / STEPS
_HALVED_AFTER: Final = 3
#: The usual price is that of so many steps.
_USUAL: Final = 700
#: A price that was told is followed for so many intervals; after that, each partition paces itself again.
PATIENCE: Final = 15
#: No step changes the price by more than about e to this.
_LONGEST: Final = 0.5


class Plan:
    """How a budget is to be spent over a period: in shares of it, by the hour of the day in UTC."""

    def __init__(self, hours: Sequence[float]) -> None:
        """`hours` are 24 weights, from midnight on."""
        self._before = [0.0, *accumulate(hours)]
        self._hours = tuple(hours)

    def progress(self, span: Span, moment: int) -> float:
        """Returns the share, 0 to 1, that is to be spent by `moment` (milliseconds) of the period."""
        begin = self._until(span.begin)
        whole = self._until(span.end) - begin
        inside = min(max(moment, span.begin), span.end)
        return (self._until(inside) - begin) / whole if whole > 0 else 1.0

    def _until(self, moment: int) -> float:
        days, rest = divmod(moment, DAY)
        hour, part = divmod(rest, HOUR)
        return days * self._before[-1] + self._before[hour] + self._hours[hour] * part / HOUR


class Pace:
    """The price of one account, the usual one of late, and what the price was last moved by.

    `progress` of the plan and units `counted` are as of the last of `steps`.
    """

    __slots__ = ("counted", "price", "progress", "steps", "usual")

    def __init__(self, price: float = LEAST_PRICE, steps: int = 0) -> None:
        """Begins with a price found before, and how many steps led to it."""
        self.price = price
        self.usual = price
        self.steps = steps
        self.progress = 0.0
        self.counted = 0

    def observe(self, progress: float, counted: int, share: int, closing: float = 0.0) -> None:
        """Moves the price if it is time: `counted` of `share` units are taken at `progress` of the plan.

        `closing` over the steps to come is the least gain: near the end of a period there is no time for small steps.
        """
        used, passed = counted - self.counted, progress - self.progress
        step = share / STEPS
        if step <= 0 or passed < 0 or (passed < 1 / STEPS and used < _AHEAD * step):
            return
        to_come = 1.0 - self.progress
        planned = max(share - self.counted, 0) * passed / to_come if to_come > 0 else 0.0
        gain = max(_LAST_GAIN, _FIRST_GAIN / (1 + self.steps / _HALVED_AFTER))
        gain = max(gain, closing / max(to_come * STEPS, 1.0))
        move = min(max(gain * (used - planned) / step, -_LONGEST), _LONGEST)
        # e to the move, but for its third order, and the same there and back.
        self.price = min(max(round(self.price * (2 + move) / (2 - move), 9), LEAST_PRICE), MOST_PRICE)
        self.steps += 1
        # What is left at the end of a period moves the price far; the next is to begin where this one mostly was.
        self.usual = round(self.usual + (self.price - self.usual) / min(self.steps, _USUAL), 9)
        self.progress = progress
        self.counted = counted
