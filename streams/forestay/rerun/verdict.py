"""Holds what a rerun by the ledger makes against what was recorded; the first difference ends it."""

from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, NoReturn

from forestay.core.event import NEVER
from forestay.core.ledger import digested, state_digest
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord
from forestay.core.units import to_datetime
from forestay.rerun.checked_scores import CheckedScores
from forestay.rerun.divergence import Divergence, DivergenceFoundError, Place
from forestay.rerun.evidence import Example, Extent, first_difference, recorded_batch
from forestay.rerun.outputs import Kind
from forestay.rerun.reading import Rows
from forestay.rerun.recorded_outputs import RecordedOutputs
from forestay_schemas import LedgerBatch, LedgerCommit, LedgerStart
from forestay_schemas.ledger import Digested, Entry

_NONE: Final = Digested(records=0, digest="0" * 32)


class Judge:
    """Compares entry by entry; knows why things may differ."""

    def __init__(
        self,
        recordings: Rows,
        topics: Mapping[Kind, str],
        outputs: RecordedOutputs,
        scores: CheckedScores,
        configuration: str,
        *,
        others: Collection[str] = (),
    ) -> None:
        """`configuration` is the digest of the settings this rerun has, `others` are those under other catalogues."""
        self._others = frozenset(others)
        #: Catalogues that entries name and nobody has.
        self._lacking: set[str] = set()
        self._recordings = recordings
        self._topics = topics
        self._outputs = outputs
        self._scores = scores
        self._configuration = configuration
        self._starts: dict[int, LedgerStart] = {}
        #: By partition, where the decisions that are made again begin, and their end at the last commit.
        self._begins: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    def lacks(self, version: str) -> None:
        """Notes that a catalogue is not there to run under."""
        self._lacking.add(version)

    def begin(self, start: LedgerStart) -> None:
        """Notes what a worker began with."""
        self._starts[start.partition] = start
        self._begins.setdefault(start.partition, start.decisions)

    def begin_at(self, commit: LedgerCommit) -> None:
        """Notes where a rerun began within a worker's time."""
        self._begins[commit.partition] = commit.decisions

    def equal(self, place: Place, what: str, recorded: Any, made: Any) -> None:
        """Compares two values.

        Raises:
            DivergenceFoundError: they differ.
        """
        if recorded != made:
            self._differs(place, what, str(recorded), str(made))

    def times(self, place: Place, entry: Entry, core: Partition) -> None:
        """Compares where event time stands after an entry.

        Raises:
            DivergenceFoundError: it stands elsewhere.
        """
        for what, recorded, made in (
            ("clock", entry.clock, core.clock),
            ("watermark", entry.watermark, core.watermark),
        ):
            self.equal(place, what, recorded, None if made == NEVER else to_datetime(made))

    def batch(self, place: Place, entry: LedgerBatch, made: Mapping[Kind, Sequence[OutputRecord]]) -> None:
        """Compares what a batch made with its digests, and with the topics as recorded.

        Raises:
            DivergenceFoundError: it differs.
        """
        extent = Extent(entry.topic, entry.partition, entry.begin, entry.end, entry.more)
        for kind in Kind:
            records, told = made.get(kind, ()), entry.made.get(kind, _NONE)
            found = digested(records) if records else _NONE
            if found != told:
                recorded = recorded_batch(kind, self._recordings, self._topics[kind], extent)
                example = first_difference(kind, records, recorded)
                if recorded and len(recorded) == told.records and digested(recorded) != told:
                    self._altered(place, kind, example, "has not the ledger's digest either")
                self._differs(place, kind, _short(told), _short(found), example, entry.configuration)
        for kind in (Kind.DECISIONS, Kind.ACTIONS):
            for record in made.get(kind, ()):
                if not self._outputs.meet(kind, record):
                    recorded = recorded_batch(kind, self._recordings, self._topics[kind], extent)
                    self._altered(place, kind, first_difference(kind, [record], recorded))
        self._scores.forget()

    def met(self, place: Place, kind: Kind, records: Sequence[OutputRecord]) -> None:
        """Compares what a worker took as made, or wrote again, with the topic as recorded.

        Raises:
            DivergenceFoundError: it differs, or is not there.
        """
        for record in records:
            if not self._outputs.meet(kind, record):
                self._altered(place, kind, None)

    def commit(self, place: Place, entry: LedgerCommit, core: Partition, state: Sequence[OutputRecord]) -> None:
        """Compares a commit.

        Raises:
            DivergenceFoundError: the state, or where it stands, differs.
        """
        self.equal(place, "positions", entry.positions, core.positions)
        found = state_digest(state, core.book.mark, core.pauses.mark)
        if found != entry.state:
            self._differs(place, "state", _short(entry.state), _short(found))
        self.times(place, entry, core)
        self._ends[entry.partition] = entry.decisions

    def missing(self, place: Place, why: str) -> NoReturn:
        """Ends where rows that were taken are not recorded.

        Raises:
            DivergenceFoundError: always.
        """
        raise DivergenceFoundError(Divergence(place, "records", "taken", "not there", None, [], [why]))

    def finish(self) -> None:
        """Looks for what was recorded and nothing made.

        Raises:
            DivergenceFoundError: there is some.
        """
        for kind, names in self._outputs.unmade(self._begins, self._ends).items():
            place = Place(self._outputs.partition(kind, names[0]), -1, "end")
            why = "no batch of the ledger makes them: the recording was altered, or is of another run"
            raise DivergenceFoundError(
                Divergence(place, kind, f"{len(names)} more", "none of them", names[0], [], [why])
            )

    # -- what differs --------------------------------------------------------------------------------

    def _differs(  # noqa: PLR0917 - what a divergence says
        self,
        place: Place,
        what: str,
        recorded: str,
        made: str,
        example: Example | None = None,
        configuration: str | None = None,
    ) -> NoReturn:
        record, fields = (None, []) if example is None else example
        causes = self._causes(place, configuration)
        raise DivergenceFoundError(Divergence(place, what, recorded, made, record, fields, causes))

    def _altered(
        self, place: Place, kind: Kind, example: Example | None, how: str = "is not what is made"
    ) -> NoReturn:
        record, fields = (None, []) if example is None else example
        why = f"the recording of {self._topics[kind]} {how}: it was altered, or is of another run"
        raise DivergenceFoundError(Divergence(place, kind, "otherwise", "as it was", record, fields, [why]))

    def _causes(self, place: Place, configuration: str | None) -> list[str]:
        """Returns what may be behind it, as far as can be told."""
        start = self._starts.get(place.partition)
        was = configuration or (start.configuration if start else None)
        causes = []
        if self._lacking:
            named = ", ".join(sorted(self._lacking))
            causes.append(
                f"catalogue {named} is neither that of the settings nor recorded: name it with --set catalogue=FILE,"
                " or record the catalogue's topic too"
            )
        elif was is not None and was != self._configuration and was not in self._others:
            causes.append(
                f"the settings are others (digest {was[:12]} then, {self._configuration[:12]} now): engine, features,"
                " triggers, catalogue or format"
            )
        here = version("forestay")
        if start is not None and start.forestay != here:
            causes.append(f"Forestay {start.forestay} ran then, {here} now")
        causes.extend(self._scores.causes())
        return causes or [
            "settings, version and scores are those of then: the code differs, or an earlier record of the partition"
        ]


def _short(one: Digested) -> str:
    return f"{one.records} ({one.digest[:12]})" if one.records else "none"
