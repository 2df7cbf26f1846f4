"""The sequence of a user's last steps, which the Transformer reads, and the longer looks back it allows.

A step is all events of one kind (and, for purchases and refunds, of one order) within one half-hour slot of
event time: forty lines of an order are one step with a count of forty, so sixty-four steps reach back
weeks or months. Slots depend on the event alone, so the order of arrival changes nothing.
"""

from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from forestay.core.event import PURCHASE, Event
from forestay.core.families.family import Family, Feature, Part, capped
from forestay.core.units import DAY, MINUTE

SLOT: Final[int] = 30 * MINUTE
#: Steps kept a user. Each takes about 20 bytes in the state record.
MAX_STEPS: Final[int] = 64
#: Vocabulary sizes: a step keeps its item and category as a token, 0 for none.
ITEM_TOKENS: Final[int] = 2_048
CATEGORY_TOKENS: Final[int] = 512
#: Orders are told apart within one slot of one user only: 31 bits do.
_ORDER_BITS: Final[int] = 2**31
LONG_DAYS: Final[tuple[int, int]] = (90, 180)
_MINOR: Final[float] = 100.0


@mypyc_attr(acyclic=True)
class Step:
    """One step; `slot` is the number of its half hour since the epoch, `value` in hundredths of the currency.

    `item` and `category` are the tokens of the dearest line of the step, worth `dearest`; of two equally dear
    the larger item stands, whatever came first.
    """

    __slots__ = ("category", "count", "dearest", "item", "kind", "order", "quantity", "slot", "value")

    def __init__(self, slot: int, kind: int, order: int) -> None:
        """Starts without lines."""
        self.slot = slot
        self.kind = kind
        self.order = order
        self.count = 0
        self.quantity = 0
        self.value = 0
        self.dearest = 0
        self.item = 0
        self.category = 0

    def compare(self, slot: int, kind: int, order: int) -> int:
        """Returns a number below, at or above 0 as this step is before, at or after the given key."""
        if self.slot != slot:
            return self.slot - slot
        if self.kind != kind:
            return self.kind - kind
        return self.order - order

    def show(self, worth: int, item: int, category: int) -> None:
        """Takes the line's item and category if it is the dearest."""
        if worth > self.dearest or (
            worth == self.dearest and (item > self.item or (item == self.item and category > self.category))
        ):
            self.dearest = worth
            self.item = item
            self.category = category


class Sequence(Family):
    """The family."""

    __slots__ = ()

    def __init__(self) -> None:
        """Has orders and spend of longer looks back than the rings hold."""
        super().__init__(7, "sequence", _features())

    def new(self) -> Part:
        """Returns an empty sequence."""
        return SequencePart()

    def from_plain(self, plain: list[Any], latest: int) -> Part:
        """Reads nine numbers a step, as `to_plain` wrote them."""
        part = SequencePart()
        slot = 0
        for at in range(0, len(plain), 9):
            slot += plain[at]
            step = Step(slot, plain[at + 1], plain[at + 2])
            step.count = plain[at + 3]
            step.quantity = plain[at + 4]
            step.value = plain[at + 5]
            step.dearest = plain[at + 5] - plain[at + 6]
            step.item = plain[at + 7]
            step.category = plain[at + 8]
            part.steps.append(step)
        return part


@mypyc_attr(acyclic=True)
class SequencePart(Part):
    """The last steps, oldest first."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        """Starts empty."""
        self.steps: list[Step] = []

    def update(self, event: Event, latest: int) -> None:
        """Puts the event into its step, or a new step into its place; drops the oldest beyond the bound."""
        step = self._step(event.ts // SLOT, event.kind, event.order % _ORDER_BITS)
        if step is None:
            return
        step.count += 1
        step.quantity += event.quantity
        step.value = capped(step.value + event.value)
        for line in event.items:
            item = 1 + line.item % (ITEM_TOKENS - 1) if line.item else 0
            category = 1 + line.category % (CATEGORY_TOKENS - 1) if line.category else 0
            step.show(line.price * line.quantity, item, category)

    def _step(self, slot: int, kind: int, order: int) -> Step | None:
        """Returns the step with this key, made if there is none; None if it would be older than all kept."""
        steps = self.steps
        at = len(steps)
        while at:
            compared = steps[at - 1].compare(slot, kind, order)
            if compared == 0:
                return steps[at - 1]
            if compared < 0:
                break
            at -= 1
        if at == 0 and len(steps) >= MAX_STEPS:
            return None
        step = Step(slot, kind, order)
        steps.insert(at, step)
        if len(steps) > MAX_STEPS:
            del steps[0]
        return step

    def merge(self, other: Part, latest: int) -> None:
        """Joins steps of the same key, as if their events were one user's."""
        for theirs in reversed(cast(SequencePart, other).steps):
            step = self._step(theirs.slot, theirs.kind, theirs.order)
            if step is not None:
                step.count += theirs.count
                step.quantity += theirs.quantity
                step.value = capped(step.value + theirs.value)
                step.show(theirs.dearest, theirs.item, theirs.category)

    def values(self, now: int, latest: int, into: list[float]) -> None:
        """Appends purchase steps and their value, a pair each look back."""
        for days in LONG_DAYS:
            since = now - days * DAY
            orders = value = 0
            for step in self.steps:
                if step.kind == PURCHASE and step.slot * SLOT >= since:
                    orders += 1
                    value += step.value
            into.append(float(orders))
            into.append(value / _MINOR)

    def to_plain(self, latest: int, now: int) -> list[Any]:
        """Writes nine numbers a step: its slot from the one before, its dearest line as what is left of the value."""
        plain: list[Any] = []
        before = 0
        for step in self.steps:
            plain.append(step.slot - before)
            plain.append(step.kind)
            plain.append(step.order)
            plain.append(step.count)
            plain.append(step.quantity)
            plain.append(step.value)
            plain.append(step.value - step.dearest)
            plain.append(step.item)
            plain.append(step.category)
            before = step.slot
        return plain


def _features() -> list[Feature]:
    features = []
    for days in LONG_DAYS:
        what = f"among the last {MAX_STEPS} steps, last {days} days"
        features.append(Feature(f"orders_{days}d", f"purchase steps {what}", "count"))
        features.append(Feature(f"spend_{days}d", f"value of the purchase steps {what}", "currency"))
    return features
