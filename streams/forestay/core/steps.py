"""The sequence of a user's last steps, which the Transformer reads.

A step is all events of one kind (and, for purchases and refunds, of one order) within one half-hour slot of
event time: forty lines of an order are one step with a count of forty, so sixty-four steps reach back
weeks or months. Slots depend on the event alone, so the order of arrival changes nothing.
"""

from typing import Final

import msgspec

from forestay.core.event import Event
from forestay.core.units import MINUTE
from forestay.core.windows import MAX_AMOUNT

SLOT: Final = 30 * MINUTE
#: Steps kept a user. Each takes about 50 bytes in the state record, 74 at most.
MAX_STEPS: Final = 64


class Step(msgspec.Struct, array_like=True, gc=False):
    """One step; `slot` is the start of its half hour in milliseconds, `value` in hundredths of the currency.

    `item` and `category` are hashes of the dearest event of the step, its value being `dearest`; of two
    equally dear the larger hash stands, whatever came first.
    """

    slot: int
    kind: int
    order: int
    count: int
    quantity: int
    value: int
    dearest: int
    item: int
    category: int

    def key(self) -> tuple[int, int, int]:
        """Returns the sort key that makes a step unique in its sequence."""
        return (self.slot, self.kind, self.order)


def add_step(steps: list[Step], event: Event) -> None:
    """Merges `event` into its step, or inserts a new one in order; drops the oldest beyond the bound."""
    slot = event.ts - event.ts % SLOT
    key = (slot, event.kind, event.order)
    at = len(steps)
    while at and steps[at - 1].key() > key:
        at -= 1
    if at and steps[at - 1].key() == key:
        _merge(steps[at - 1], event)
        return
    if at == 0 and len(steps) == MAX_STEPS:
        return
    steps.insert(
        at,
        Step(slot, event.kind, event.order, 1, event.quantity, event.value, event.value, event.item, event.category),
    )
    if len(steps) > MAX_STEPS:
        del steps[0]


def _merge(step: Step, event: Event) -> None:
    step.count += 1
    step.quantity += event.quantity
    step.value = min(step.value + event.value, MAX_AMOUNT)
    dearest = (step.dearest, step.item, step.category)
    step.dearest, step.item, step.category = max(dearest, (event.value, event.item, event.category))
