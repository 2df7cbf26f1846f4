"""What a mapping does to a sample: counted while it is read, in bounded memory."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from forestay.adapters.adapter import Adapter, Mapped, Skipped
from forestay.adapters.files import Read
from forestay.adapters.paths import Reference
from forestay.core.errors import DeadLetter
from forestay.core.hashing import hash64
from forestay_schemas.types import rfc3339

#: Distinct reasons, and distinct places in a record, that are told apart; the rest is counted as one.
MAX_NAMES: Final = 500
#: Distinct users and event ids that are remembered (8 bytes each, and what a set adds: 10 MB).
MAX_IDS: Final = 100_000
#: Levels of a record that are looked into for its fields.
_MAX_DEPTH: Final = 8
_OTHER: Final = "(others)"


class Tally:
    """Counts by name; past `MAX_NAMES` names, a new one counts as another."""

    def __init__(self) -> None:
        """Starts empty."""
        self.counts: Counter[str] = Counter()

    def add(self, name: str, times: int = 1) -> str:
        """Counts `name`; returns the name it is counted under."""
        known = name in self.counts or len(self.counts) < MAX_NAMES
        counted = name if known else _OTHER
        self.counts[counted] += times
        return counted

    def by_count(self) -> dict[str, int]:
        """Returns the counts, largest first, names in order where they are equal."""
        return dict(sorted(self.counts.items(), key=lambda entry: (-entry[1], entry[0])))


class Distinct:
    """Counts distinct texts and repetitions, exactly up to `MAX_IDS` of them."""

    def __init__(self) -> None:
        """Starts empty."""
        self._seen: set[int] = set()
        self.repeated = 0
        self.exact = True

    def add(self, text: str) -> None:
        """Counts `text`."""
        digest = hash64(text)
        if digest in self._seen:
            self.repeated += 1
        elif len(self._seen) < MAX_IDS:
            self._seen.add(digest)
        else:
            self.exact = False

    def __len__(self) -> int:
        """Returns how many distinct ones there are, at least."""
        return len(self._seen)


class Report:
    """What became of each record of a sample."""

    def __init__(self, adapter: Adapter, examples: int = 3) -> None:
        """`examples`: how many of each outcome are kept as they were."""
        self._adapter = adapter
        self._examples = examples
        self._reads, self._hashed = adapter.reads()
        self.read = self.mapped = 0
        self.skipped, self.failed, self.events = Tally(), Tally(), Tally()
        self.users, self.event_ids = Distinct(), Distinct()
        self.merges = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.used, self.dropped = Tally(), Tally()
        self.mapped_examples: list[dict[str, Any]] = []
        self.failed_examples: list[dict[str, Any]] = []
        #: Where each of the reasons in `failed` came first.
        self.failed_first: dict[str, int] = {}

    @property
    def failures(self) -> int:
        """Returns how many records could neither be mapped nor skipped."""
        return self.failed.counts.total()

    def add(self, read: Read) -> Mapped | None:
        """Maps one record and counts what became of it; returns the event, if it is one."""
        self.read += 1
        try:
            if read.problem is not None or read.record is None:
                raise read.problem or DeadLetter("no_value", "there is no record")
            outcome = self._adapter.map(read.record)
        except DeadLetter as problem:
            self._fail(read, problem)
            return None
        self._look_through(read.record)
        if isinstance(outcome, Skipped):
            self.skipped.add(outcome.reason)
            return None
        self._count(read, outcome)
        return outcome

    def _fail(self, read: Read, problem: DeadLetter) -> None:
        reason = f"{problem.code}: {problem}"
        self.failed_first.setdefault(self.failed.add(reason), read.position)
        if len(self.failed_examples) < self._examples:
            self.failed_examples.append({"position": read.position, "reason": reason, "before": read.record})

    def _count(self, read: Read, mapped: Mapped) -> None:
        event = mapped.event
        self.mapped += 1
        self.events.add(str(event.event))
        self.users.add(event.user_id)
        self.event_ids.add(event.event_id)
        self.merges += event.anonymous_id is not None
        self.first = event.ts if self.first is None else min(self.first, event.ts)
        self.last = event.ts if self.last is None else max(self.last, event.ts)
        if len(self.mapped_examples) < self._examples:
            after = event.model_dump(mode="json", exclude_defaults=True)
            self.mapped_examples.append({"position": read.position, "before": read.record, "after": after})

    def _look_through(self, record: dict[str, Any]) -> None:
        """Counts which of the record's places the mapping reads, and which it leaves."""
        for place in set(_places(self._adapter.paired(record), ())):
            read = place in self._hashed or any(place[:end] in self._reads for end in range(1, len(place) + 1))
            (self.used if read else self.dropped).add(".".join(place))

    def summary(self) -> dict[str, Any]:
        """Returns all of it as JSON."""
        return {
            "mapping": self._adapter.mapping.name,
            "read": self.read,
            "mapped": self.mapped,
            "skipped": self.skipped.by_count(),
            "failed": self.failed.by_count(),
            "failed_first": dict(self.failed_first),
            "events": self.events.by_count(),
            "from": None if self.first is None else rfc3339(self.first),
            "to": None if self.last is None else rfc3339(self.last),
            "users": len(self.users),
            "users_exact": self.users.exact,
            "repeated_event_ids": self.event_ids.repeated,
            "names_two_ids": self.merges,
            "fields_used": self.used.by_count(),
            "fields_dropped": self.dropped.by_count(),
            "examples": self.mapped_examples,
            "failed_examples": self.failed_examples,
        }


def _places(value: Any, start: Reference, depth: int = 0) -> Iterator[Reference]:
    """Yields the places in `value` that hold something; elements of a list share one."""
    if isinstance(value, dict) and value and depth < _MAX_DEPTH:
        for name, below in value.items():
            yield from _places(below, (*start, name), depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for element in value:
            yield from _places(element, start, depth + 1)
    elif value not in (None, ""):
        yield start
