"""The sequence of a user's last steps, which the Transformer reads, and the longer looks back it allows.

A step is all events of one kind (and, for purchases and refunds, of one order) within one half-hour slot of
event time: forty lines of an order are one step with a count of forty, so sixty-four steps reach back
weeks or months. Slots depend on the event alone, so the order of arrival changes nothing.
"""

from typing import Final, NamedTuple, cast

from librt.vecs import extend, vec
from mypy_extensions import i64, mypyc_attr

from forestay.core.errors import StateError
from forestay.core.event import EVENT_NAMES, PURCHASE, Event
from forestay.core.families.family import Family, Feature, Part, capped
from forestay.core.packing import MAX_NUMBER, RecordReader, RecordWriter
from forestay.core.units import DAY

#: Half an hour in milliseconds: a product of another module's constants would be no constant once compiled.
SLOT: Final = 1_800_000
#: Steps kept a user. Each takes 56 bytes in memory, and about 8 in the state record.
MAX_STEPS: Final = 64
#: Vocabulary sizes: a step keeps its item and category as a token, 0 for none.
ITEM_TOKENS: Final = 2_048
CATEGORY_TOKENS: Final = 512
#: Orders are told apart within one slot of one user only: 31 bits do.
_ORDER_BITS: Final = 2**31 - 1
_LONG_DAYS: Final = 90
_LONGER_DAYS: Final = 180
_MINOR: Final = 100.0

#: Numbers a step, and where each stands. The first is slot and kind, 5 bits, the last item and category, 9 bits.
_STEP: Final = 7
_ORDER: Final = 1
_COUNT: Final = 2
_QUANTITY: Final = 3
_VALUE: Final = 4
_DEAREST: Final = 5
_SHOWN: Final = 6
_FULL: Final = MAX_STEPS * _STEP
_BLANK: Final = vec[i64]([0] * _STEP)
_KIND_BITS: Final = 5
_KIND: Final = 2**_KIND_BITS - 1
_KINDS: Final[i64] = len(EVENT_NAMES)
_CATEGORY_BITS: Final = 9
_CATEGORY: Final = 2**_CATEGORY_BITS - 1
_SHOWABLE: Final = ITEM_TOKENS * CATEGORY_TOKENS

#: A step's first number in the record is slot, kind and these, in 4 bits: what of the unusual follows.
_HAS_ORDER: Final = 1
_HAS_COUNT: Final = 2
_HAS_QUANTITY: Final = 4
_HAS_LESS: Final = 8
_HAS_BITS: Final = 4
_HEAD_BITS: Final = _KIND_BITS + _HAS_BITS
_HEAD: Final = 2**_HEAD_BITS - 1


class Step(NamedTuple):
    """One step; `slot` is the number of its half hour since the epoch, `value` in hundredths of the currency.

    `item` and `category` are the tokens of the dearest line of the step, worth `dearest`; of two equally dear
    the larger item stands, whatever came first.
    """

    slot: int
    kind: int
    order: int
    events: int
    quantity: int
    value: int
    dearest: int
    item: int
    category: int


class Sequence(Family):
    """The family."""

    __slots__ = ()

    def __init__(self) -> None:
        """Has orders and spend of longer looks back than the rings hold."""
        super().__init__(7, "sequence", _features())

    def new(self) -> Part:
        """Returns an empty sequence."""
        return SequencePart()

    def read(self, reader: RecordReader, latest: i64) -> Part:
        """Reads what `SequencePart.write` wrote."""
        part = SequencePart()
        if reader.more():
            part.fill(reader, latest)
        return part


@mypyc_attr(acyclic=True)
class SequencePart(Part):
    """The last steps in one row of numbers: a ring once it is full, so that a further one replaces the oldest."""

    __slots__ = ("_oldest", "_steps")

    def __init__(self) -> None:
        """Starts empty."""
        self._steps = vec[i64]()
        #: Where the oldest step stands: 0 until the row is full.
        self._oldest: i64 = 0

    def update(self, event: Event, latest: i64) -> None:
        """Puts the event into its step, or a new step into its place; drops the oldest beyond the bound."""
        at = self._place((event.ts // SLOT << _KIND_BITS) | event.kind, event.order & _ORDER_BITS)
        if at < 0:
            return
        self._add(at, 1, event.quantity, event.value)
        for line in event.items:
            worth = line.price * line.quantity
            if worth >= self._steps[at + _DEAREST]:
                self._show(at, worth, _shown(line.item, line.category))

    def merge(self, other: Part, latest: i64) -> None:
        """Joins steps of the same key, as if their events were one user's."""
        for step in reversed(cast(SequencePart, other).steps()):
            self.join(step)

    def join(self, step: Step) -> None:
        """Adds the step to the one of its key, or puts it into its place."""
        at = self._place((step.slot << _KIND_BITS) | step.kind, step.order)
        if at >= 0:
            self._add(at, step.events, step.quantity, step.value)
            self._show(at, step.dearest, (step.item << _CATEGORY_BITS) | step.category)

    def _place(self, when: i64, order: i64) -> i64:
        """Returns where the step with this key stands, made if there is none; -1 if it would be older than all."""
        steps = self._steps
        size: i64 = len(steps)
        at = self._oldest
        earlier = size
        while earlier:
            at = (at or size) - _STEP
            found = steps[at]
            if found == when:
                place = steps[at + _ORDER]
                if place == order:
                    return at
                if place < order:
                    break
            elif found < when:
                break
            earlier -= _STEP
        if earlier == 0 and size == _FULL:
            return -1
        return self._make(when, order, size - earlier)

    def _make(self, when: i64, order: i64, later: i64) -> i64:
        """Returns where a new step without lines stands now, before the newest ones that hold so many numbers."""
        size: i64 = len(self._steps)
        at = size
        if size < _FULL:
            self._steps = extend(self._steps, _BLANK)
            size += _STEP
        else:
            at = self._oldest
            self._oldest = _next(at, size)
        steps = self._steps
        index: i64
        while later:
            before = (at or size) - _STEP
            for index in range(_STEP):
                steps[at + index] = steps[before + index]
            at = before
            later -= _STEP
        steps[at] = when
        steps[at + _ORDER] = order
        for index in range(_COUNT, _STEP):
            steps[at + index] = 0
        return at

    def _add(self, at: i64, count: i64, quantity: i64, value: i64) -> None:
        steps = self._steps
        steps[at + _COUNT] = capped(steps[at + _COUNT] + count)
        steps[at + _QUANTITY] = capped(steps[at + _QUANTITY] + quantity)
        steps[at + _VALUE] = capped(steps[at + _VALUE] + value)

    def _show(self, at: i64, worth: i64, shown: i64) -> None:
        """Takes the line's item and category if it is the dearest."""
        steps = self._steps
        dearest = steps[at + _DEAREST]
        if worth > dearest or (worth == dearest and shown > steps[at + _SHOWN]):
            steps[at + _DEAREST] = worth
            steps[at + _SHOWN] = shown

    def steps(self) -> list[Step]:
        """Returns the steps, oldest first."""
        steps, at = self._steps, self._oldest
        found: list[Step] = []
        size: i64 = len(steps)
        while len(found) * _STEP < size:
            when, shown = steps[at], steps[at + _SHOWN]
            found.append(
                Step(
                    when >> _KIND_BITS,
                    when & _KIND,
                    steps[at + _ORDER],
                    steps[at + _COUNT],
                    steps[at + _QUANTITY],
                    steps[at + _VALUE],
                    steps[at + _DEAREST],
                    shown >> _CATEGORY_BITS,
                    shown & _CATEGORY,
                )
            )
            at = _next(at, size)
        return found

    def values(self, now: i64, latest: i64, into: list[float]) -> None:
        """Appends purchase steps and their value, a pair each look back."""
        self._bought(now - _LONG_DAYS * DAY, into)
        self._bought(now - _LONGER_DAYS * DAY, into)

    def _bought(self, since: i64, into: list[float]) -> None:
        steps, at = self._steps, self._oldest
        size: i64 = len(steps)
        kind: i64 = PURCHASE
        orders: i64 = 0
        value: i64 = 0
        left = size
        while left:
            at = (at or size) - _STEP
            when = steps[at]
            if (when >> _KIND_BITS) * SLOT < since:
                break
            if when & _KIND == kind:
                orders += 1
                value = capped(value + steps[at + _VALUE])
            left -= _STEP
        into.append(float(orders))
        into.append(float(value) / _MINOR)

    def write(self, writer: RecordWriter, latest: i64, now: i64) -> None:
        """Writes how many steps there are, then of each, oldest first, three numbers to seven (`docs/state.md`)."""
        steps, at = self._steps, self._oldest
        size: i64 = len(steps)
        if size == 0:
            return
        writer.number(size // _STEP)
        left = size
        before: i64 = 0
        while left:
            self._write_step(writer, at, before)
            before = steps[at] >> _KIND_BITS
            at = _next(at, size)
            left -= _STEP

    def _write_step(self, writer: RecordWriter, at: i64, before: i64) -> None:
        """Writes one; `before` is the slot of the one before."""
        steps = self._steps
        when, order, count = steps[at], steps[at + _ORDER], steps[at + _COUNT]
        quantity, value = steps[at + _QUANTITY], steps[at + _VALUE]
        less = value - steps[at + _DEAREST]
        head = (((when >> _KIND_BITS) - before) << _HEAD_BITS) | ((when & _KIND) << _HAS_BITS)
        if order:
            head |= _HAS_ORDER
        if count != 1:
            head |= _HAS_COUNT
        if quantity != count:
            head |= _HAS_QUANTITY
        if less:
            head |= _HAS_LESS
        writer.number(head)
        if order:
            writer.number(order)
        if count != 1:
            writer.number(count)
        if quantity != count:
            writer.number(quantity)
        writer.number(value)
        if less:
            writer.number(less)
        writer.number(steps[at + _SHOWN])

    def fill(self, reader: RecordReader, latest: i64) -> None:
        """Reads into an empty sequence what `write` wrote.

        Raises:
            StateError: it wrote no such thing.
        """
        left = reader.count(MAX_STEPS)
        # With room for one more, since an event is about to come; one by one the row would be made anew nine times.
        self._steps = vec[i64](capacity=min(left + 1, MAX_STEPS) * _STEP)
        newest = latest // SLOT
        slot: i64 = 0
        before: i64 = -1
        order_before: i64 = -1
        while left:
            head = reader.count(((newest - slot) << _HEAD_BITS) | _HEAD)
            slot += head >> _HEAD_BITS
            kind = (head >> _HAS_BITS) & _KIND
            when = (slot << _KIND_BITS) | kind
            order: i64 = 0
            if head & _HAS_ORDER:
                order = reader.count(_ORDER_BITS)
            if kind >= _KINDS or when < before or (when == before and order <= order_before):
                raise StateError("a state record holds a step where none can be")
            self._fill_step(reader, head, when, order)
            before, order_before = when, order
            left -= 1

    def _fill_step(self, reader: RecordReader, head: i64, when: i64, order: i64) -> None:
        count: i64 = 1
        if head & _HAS_COUNT:
            count = reader.count(MAX_NUMBER)
        quantity = count
        if head & _HAS_QUANTITY:
            quantity = reader.count(MAX_NUMBER)
        value = reader.count(MAX_NUMBER)
        dearest = value
        if head & _HAS_LESS:
            dearest -= reader.count(value)
        at: i64 = len(self._steps)
        steps = extend(self._steps, _BLANK)
        steps[at] = when
        steps[at + _ORDER] = order
        steps[at + _COUNT] = count
        steps[at + _QUANTITY] = quantity
        steps[at + _VALUE] = value
        steps[at + _DEAREST] = dearest
        steps[at + _SHOWN] = reader.count(_SHOWABLE - 1)
        self._steps = steps


def _next(at: i64, size: i64) -> i64:
    """Returns where the step after the one at `at` stands."""
    at += _STEP
    # No conditional expression: with a literal in it, compiled code would make an object of the number.
    if at == size:
        return 0
    return at


def _shown(item: i64, category: i64) -> i64:
    """Returns the tokens of an item and its category, given by their hashes, as one number."""
    shown: i64 = 0
    if item:
        shown = (1 + item % (ITEM_TOKENS - 1)) << _CATEGORY_BITS
    if category:
        shown |= 1 + category % (CATEGORY_TOKENS - 1)
    return shown


def _features() -> list[Feature]:
    features = []
    for days in (_LONG_DAYS, _LONGER_DAYS):
        what = f"among the last {MAX_STEPS} steps, last {days} days"
        features.append(Feature(f"orders_{days}d", f"purchase steps {what}", "count"))
        features.append(Feature(f"spend_{days}d", f"value of the purchase steps {what}", "currency"))
    return features
