"""How far one partition's state has come: the record that ends every commit."""

import msgspec

from forestay.core.event import NEVER


class PartitionMark(msgspec.Struct, array_like=True, frozen=True):
    """Written after the users of the same commit.

    `positions` is the next offset to read of each source topic, `decisions` the end of the decision topic
    when this was written: decisions beyond it were made after the last durable state (design D3).
    `generation` is the group generation that wrote it. `clock` and `watermark` are event times (milliseconds):
    what has been told, and the newest of the click events (`NEVER` until the first is seen).
    """

    positions: dict[str, int]
    clock: int
    decisions: int
    generation: int
    watermark: int = NEVER
