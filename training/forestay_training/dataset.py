"""Recording to rows: the core itself makes every input, so that what is trained on is what is served.

The recording runs through `forestay.core.partition.Partition`, the worker's own state machine. Each score it would
have asked for live (after an event, at a silence) is a row; so is each active customer at each calendar cutoff.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.model_input import ModelInput, model_input, stack
from forestay.core.decision.situation import Situation
from forestay.core.hashing import unit_interval
from forestay.core.partition import Partition, Sources
from forestay.core.record import SourceRecord
from forestay.core.rules import Rules
from forestay.recording import RecordedMessage
from forestay_schemas.types import ActionKind, TriggerKind
from forestay_training.labels import Orders
from forestay_training.splits import CUTOFFS, FIRST, LAST, LIVE_TEST_UNTIL, TEST

#: A partition wants a catalogue; `apply` never looks at it.
_NO_OFFERS: Final = Catalogue(
    name="training", offers=[Offer(id="none", kind=ActionKind.MESSAGE, channel="none", effect=0)]
)
#: A recording holds one topic's messages; nobody tells the time beside them.
_SOURCES: Final = Sources("clickstream", "clock", "identity")
_RULES: Final = Rules()


class Origin(IntEnum):
    """What made a moment worth a row."""

    CALENDAR = 0
    EVENT = 1
    SILENCE = 2


@dataclass(frozen=True)
class Rows:
    """N rows: who, when (milliseconds), why, whether they churned (1.0 or 0.0), and what the model is given."""

    users: NDArray[np.str_]
    moments: NDArray[np.int64]
    origins: NDArray[np.int8]
    churned: NDArray[np.float32]
    inputs: ModelInput

    def where(self, mask: NDArray[np.bool_]) -> "Rows":
        """Returns the rows that `mask` (N,) selects."""
        inputs = select(self.inputs, mask)
        return Rows(self.users[mask], self.moments[mask], self.origins[mask], self.churned[mask], inputs)

    def __len__(self) -> int:
        """Returns N."""
        return len(self.users)


def select(inputs: ModelInput, rows: NDArray[np.bool_] | NDArray[np.int64]) -> ModelInput:
    """Returns the given rows of a batch."""
    tokens, numbers, features = inputs
    return ModelInput(tokens[rows], numbers[rows], features[rows])


class _Row(NamedTuple):
    user: str
    moment: int
    origin: Origin
    input: ModelInput


def share_of_users(messages: Iterable[RecordedMessage], share: float) -> list[RecordedMessage]:
    """Returns the messages of about `share` of the users, always the same ones."""
    return [message for message in messages if unit_interval("slice", (message.key or b"").decode()) < share]


def build_rows(messages: Iterable[RecordedMessage], orders: Orders) -> Rows:
    """Returns the rows of all moments that train, validate or test, in the order of time and then of users.

    `messages` are a recording's, in its order; `orders` gives labels and tells who is active.
    """
    found = [row for row in _replay(messages, (*CUTOFFS, TEST), orders) if orders.active(row.user, row.moment)]
    found.sort(key=lambda row: (row.moment, row.user, row.origin))
    return Rows(
        users=np.array([row.user for row in found]),
        moments=np.array([row.moment for row in found], dtype=np.int64),
        origins=np.array([row.origin for row in found], dtype=np.int8),
        churned=np.array([orders.churned(row.user, row.moment) for row in found], dtype=np.float32),
        inputs=stack([row.input for row in found]),
    )


def _replay(messages: Iterable[RecordedMessage], cutoffs: Collection[int], orders: Orders) -> Iterator[_Row]:
    partitions: dict[int, Partition] = {}
    ahead = sorted(cutoffs)
    for message in messages:
        # The recording is in the order of time: what comes after a cutoff has not happened at it.
        while ahead and message.timestamp > ahead[0]:
            yield from _calendar(partitions, ahead.pop(0), orders)
        if message.timestamp > LIVE_TEST_UNTIL:
            return
        for situation in _apply(partitions, message):
            if _wanted(situation.now):
                silent = situation.trigger.kind is TriggerKind.SILENCE
                origin = Origin.SILENCE if silent else Origin.EVENT
                yield _Row(situation.user_id, situation.now, origin, situation.input)
    for cutoff in ahead:
        yield from _calendar(partitions, cutoff, orders)


def _apply(partitions: dict[int, Partition], message: SourceRecord) -> list[Situation]:
    partition = partitions.get(message.partition)
    if partition is None:
        partition = partitions[message.partition] = Partition(message.partition, _SOURCES, _RULES, _NO_OFFERS)
    return partition.apply(_SOURCES.clickstream, [message]).situations


def _calendar(partitions: dict[int, Partition], cutoff: int, orders: Orders) -> Iterator[_Row]:
    for partition in partitions.values():
        for user in partition.users.ids():
            state = partition.users.get(user)
            if state is not None and orders.active(user, cutoff):
                yield _Row(user, cutoff, Origin.CALENDAR, model_input(state, _RULES.features, cutoff))


def _wanted(now: int) -> bool:
    return FIRST <= now <= LAST or TEST <= now < LIVE_TEST_UNTIL
