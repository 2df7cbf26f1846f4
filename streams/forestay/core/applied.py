"""What a partition has to say of a batch of records, and of its restored state."""

from typing import NamedTuple

from forestay.core.decision.situation import Situation
from forestay.core.errors import FloodError
from forestay.core.record import OutputRecord
from forestay.core.watch.seen import Seen
from forestay_schemas.retention_action import RetentionAction


class Applied(NamedTuple):
    """What one batch asks for: users to score, records that failed, features and identity records to write.

    An identity record goes to the partition of its key. `late` of the dead letters came too late. `taken` is how many
    records were applied; the rest is to be given again. `flood` is set if so many failed that the line must stop
    once these are written. `seen` counts what is in the fields of the events applied.
    """

    situations: list[Situation]
    dead_letters: list[OutputRecord]
    features: list[OutputRecord]
    identity: list[OutputRecord]
    late: int
    taken: int
    seen: Seen
    flood: FloodError | None = None


class Restored(NamedTuple):
    """What a restored partition writes before anything else: actions, and identity records."""

    actions: list[RetentionAction]
    identity: list[OutputRecord]
