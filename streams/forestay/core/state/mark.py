"""How far one partition's state has come: the record that ends every commit; and what it was made beside."""

import msgspec

from forestay.core.budget.records import BudgetsMark
from forestay.core.event import NEVER
from forestay.core.state.pauses_mark import PausesMark

#: A mark of before marks told how many users there are.
UNCOUNTED = -1
#: The generation of the mark of a partition that nobody has worked on.
UNWRITTEN = -1


class PartitionMark(msgspec.Struct, array_like=True, frozen=True):
    """Written after the users of the same commit, and once before anything else of a new partition.

    `positions` is the next offset to read of each source topic, `decisions` the end of the decision topic
    when this was written: decisions beyond it were made after the last durable state (design D3).
    `generation` is the group generation that wrote it. `clock` and `watermark` are event times (milliseconds):
    what has been told, and the newest of the click events (`NEVER` until the first is seen).

    `users` is how many the partition has: a recovery that finds fewer tells that records were lost. `budgets` are
    the partition's accounts, None where the catalogue has none; `pauses` what its automatic pauses have counted and
    stopped, None likewise.
    """

    positions: dict[str, int]
    clock: int
    decisions: int
    generation: int
    watermark: int = NEVER
    users: int = UNCOUNTED
    budgets: BudgetsMark | None = None
    pauses: PausesMark | None = None


def opening_mark(users: int) -> PartitionMark:
    """Returns the mark of a partition nobody has worked on yet; `users` are those of a backfill."""
    return PartitionMark({}, NEVER, 0, UNWRITTEN, users=users)


class StateTopics(msgspec.Struct, array_like=True, frozen=True):
    """Beside which topics a partition's state is made; written when that is not what is told already.

    `partitions` is how many each topic has, 0 where it is not known; `ids` are the broker's, of the topics whose
    offsets the state holds, by name. `passed_over` are offsets of decisions that a repair left out.
    """

    partitions: int = 0
    ids: dict[str, str] = {}
    passed_over: list[int] = []
