"""The first place where a rerun by the ledger is not what was recorded, told so that a person can look on."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from forestay.rerun.readable import FieldChange


class Place(NamedTuple):
    """An entry of the ledger: its own offset, and of a batch the topic and the offsets it took (exclusive)."""

    partition: int
    offset: int
    kind: str
    topic: str | None = None
    begin: int | None = None
    end: int | None = None

    def words(self) -> str:
        """Returns it in words."""
        if self.offset < 0:
            return f"partition {self.partition}, at the end of the ledger"
        entry = f"partition {self.partition}, the {self.kind} at {self.offset} of the ledger"
        return entry if self.topic is None else f"{entry}: {self.topic} from {self.begin} to {self.end}"


class Divergence(NamedTuple):
    """What differs: which output, both sides in short, the fields of the first record that differs, and why."""

    place: Place
    what: str
    recorded: str
    made: str
    record: str | None
    fields: list[FieldChange]
    causes: list[str]

    def lines(self) -> Iterator[str]:
        """Yields it for people."""
        yield f"first difference in {self.place.words()}"
        yield f"  {self.what.replace('_', ' ')}: recorded {self.recorded}, made {self.made}"
        if self.record is not None:
            yield f"  the first that differs is {self.record}:"
        for field in self.fields:
            yield f"    {field.path}: {field.before} -> {field.after}"
        for cause in self.causes:
            yield f"  {cause}"

    def as_json(self) -> dict[str, Any]:
        """Returns it for machines."""
        return self._asdict() | {
            "place": self.place._asdict(),
            "fields": [field._asdict() for field in self.fields],
        }


class DivergenceFoundError(Exception):
    """Control: the rerun ends here."""

    def __init__(self, found: Divergence) -> None:
        """Keeps what was found."""
        super().__init__(found.what)
        self.found = found
