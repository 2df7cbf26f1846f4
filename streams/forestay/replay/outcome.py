"""What a replay tells while it runs and when it is over."""

from dataclasses import dataclass
from typing import NamedTuple

from forestay.core.errors import ForestayError

#: A partition of a topic.
Place = tuple[str, int]


class Progress(NamedTuple):
    """How far a replay is: records handed to the producer, and acknowledged; seconds since its start."""

    sent: int
    acknowledged: int
    seconds: float


@dataclass
class Arrived:
    """What one partition acknowledged; offsets are those the broker gave."""

    records: int
    first_offset: int
    last_offset: int


class Summary(NamedTuple):
    """What a replay did. `sent` equals `acknowledged` unless it failed; `halted`: it was told to stop early.

    Every row of the replay before number `next_row` has arrived: a replay from there on leaves none out.
    """

    sent: int
    acknowledged: int
    seconds: float
    halted: bool
    next_row: int
    arrived: dict[Place, Arrived]


class ReplayError(ForestayError):
    """A record could not be put on its topic; `summary` says what was sent before (None: nothing was)."""

    def __init__(self, message: str, summary: Summary | None = None) -> None:
        """Keeps the summary beside the message."""
        super().__init__(message)
        self.summary = summary
