"""The log of an experiment: decisions and outcomes, from recordings or from lines of JSON.

Reading is lenient, like an onlooker's: fields that are of no use here may be there or not.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from forestay.core.errors import ForestayError
from forestay.recording import open_recording


class Trial(msgspec.Struct, frozen=True):
    """An experiment a decision was made under."""

    experiment: str
    arm: str
    would: dict[str, str | None]


class Churn(msgspec.Struct, frozen=True):
    """The score at the decision."""

    probability: float


class Decision(msgspec.Struct, frozen=True):
    """What the read-out needs of a decision."""

    decision_id: str
    user_id: str
    decided_at: datetime
    churn: Churn
    offer_id: str | None = None
    features: dict[str, float] = {}
    experiments: tuple[Trial, ...] = ()
    releases: str | None = None


class Fragments(msgspec.Struct, frozen=True):
    """What came within the horizon of a decision; money in the shop's currency."""

    returned: bool = False
    orders: int = 0
    revenue: float = 0.0
    margin: float = 0.0
    cost: float = 0.0
    feedback: dict[str, int] = {}


class Outcome(msgspec.Struct, frozen=True):
    """What the read-out needs of an outcome."""

    decision_id: str
    matured_at: datetime
    horizon_days: float
    fragments: Fragments
    complete: bool = True


class Topics(NamedTuple):
    """The names of the topics in a recording."""

    decisions: str
    outcomes: str


_DECISION: Final = msgspec.json.Decoder(Decision)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)
#: An outcome says when it matured, a decision does not.
_OUTCOMES_OWN: Final = b'"matured_at"'
#: How the first line of such a file is told from that of a recording.
_BARE: Final = b'"decision_id"'
_T = TypeVar("_T")


class Log:
    """Files that are read as often as asked: nothing of them is held."""

    def __init__(self, paths: Sequence[Path], topics: Topics) -> None:
        """Takes recordings (a file or a folder of parts), or JSONL with a decision or an outcome in each line."""
        self._paths = paths
        self._topics = topics

    def decisions(self) -> Iterator[Decision]:
        """Yields the decisions, but for those that only let go what an earlier one chose: it counts once.

        Raises:
            ForestayError: a file cannot be read, or a record is no decision.
        """
        made = self._read(self._topics.decisions, _DECISION, outcomes=False)
        return (decision for decision in made if decision.releases is None)

    def outcomes(self) -> Iterator[Outcome]:
        """Yields the outcomes; raises as `decisions` does."""
        return self._read(self._topics.outcomes, _OUTCOME, outcomes=True)

    def _read(self, topic: str, decoder: "msgspec.json.Decoder[_T]", *, outcomes: bool) -> Iterator[_T]:
        for path in self._paths:
            values = _lines(path, outcomes=outcomes) if _is_bare(path) else _values(path, topic)
            for number, value in values:
                try:
                    yield decoder.decode(value)
                except msgspec.DecodeError as error:
                    what = "outcome" if outcomes else "decision"
                    raise ForestayError(f"{path}: row {number} is no {what}: {error}") from error


def _is_bare(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return _BARE in file.readline(1 << 20)


def _lines(path: Path, *, outcomes: bool) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if line.strip() and (_OUTCOMES_OWN in line) is outcomes:
                yield number, line


def _values(path: Path, topic: str) -> Iterator[tuple[int, bytes]]:
    for number, message in enumerate(open_recording(path)):
        if message.topic == topic and message.value is not None:
            yield number, message.value
