"""The fault harness's traffic through the core itself, with no broker: what then lies on every topic."""

from collections.abc import Sequence

from support.builders import MODEL, SOURCES, answered

from forestay.catalogue_file import load_catalogue
from forestay.core.applied import Applied
from forestay.core.event import EVENT_CODES
from forestay.core.feature_stream import FeatureStream
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.seal import sealed_records
from forestay.trigger_file import load_triggers
from forestay_chaos.oracle import ReadRecord
from forestay_chaos.traffic import CATALOGUE, FEATURES, KINDS, TRIGGERS, Traffic
from forestay_chaos.traffic_places import partition_of

ROLES = (
    "clickstream",
    "clock",
    "identity",
    "budget",
    "actions",
    "decisions",
    "outcomes",
    "dead_letters",
    "features",
    "state",
)
#: Of every record; 2026, so that the traffic lies in the past.
SENT_AT = 1_767_225_600_000

Read = dict[str, list[ReadRecord]]


class ChaosWorld:
    """All partitions in one thread, each record a batch of its own, states durable every `commit_every` records."""

    def __init__(self, traffic: Traffic, commit_every: int = 50) -> None:
        self.read: Read = {role: [] for role in ROLES}
        self._traffic, self._every = traffic, commit_every
        self._ends: dict[tuple[str, int], int] = {}
        rules, shop = self._rules(), load_catalogue(CATALOGUE)
        count = traffic.partitions
        self._cores = [
            Partition(number, SOURCES, rules, shop, place=lambda key: partition_of(key, count), partitions=count)
            for number in range(count)
        ]

    def _rules(self) -> Rules:
        kinds = frozenset(EVENT_CODES[kind] for kind, _ in KINDS)
        return Rules(
            score_on=frozenset({EVENT_CODES["purchase"]}),
            score_interval=0,
            feature_stream=FeatureStream(kinds, FEATURES),
            patterns=load_triggers(TRIGGERS).rules(),
        )

    def run(self) -> Read:
        """Takes the whole traffic, and returns what is on the topics in order of partition and offset."""
        for place, record in enumerate(self._traffic.records):
            if place in self._traffic.barriers:
                self._settle_all()
            sent = self._write(record.topic_role, record.partition, record.key, record.value, record.headers)
            self._take(SOURCES.clickstream if record.topic_role == "clickstream" else SOURCES.clock, sent)
            if place % self._every == 0:
                self._commit()
        self._settle_all()
        for records in self.read.values():
            records.sort(key=lambda each: (each.partition, each.offset))
        return self.read

    def _settle_all(self) -> None:
        for _ in range(4):
            self._commit()

    def _take(self, topic: str, record: ReadRecord) -> None:
        core = self._cores[record.partition]
        source = SourceRecord(
            topic, record.partition, record.offset, SENT_AT, record.key, record.value, record.headers
        )
        applied = core.apply(topic, [source])
        assert applied.flood is None
        self._put_out(record.partition, core, applied)

    def _put_out(self, number: int, core: Partition, applied: Applied) -> None:
        answers = answered({situation.decision_id: 0.7 for situation in applied.situations})
        settled = core.settle(applied.situations, answers, MODEL)
        for role, records in (
            ("dead_letters", applied.dead_letters),
            ("features", applied.features),
            ("outcomes", settled.outcomes),
        ):
            for record in records:
                self._write(role, number, record.key, record.value, tuple(record.headers))
        for decision in settled.decisions:
            self._write("decisions", number, decision.user_id.encode(), decision.model_dump_json().encode())
        for action in settled.actions:
            self._write("actions", number, action.user_id.encode(), action.model_dump_json().encode())
        self._deliver(applied.identity)

    def _deliver(self, records: Sequence[OutputRecord]) -> None:
        for record in records:
            assert record.key is not None
            number = partition_of(record.key, self._traffic.partitions)
            self._take(SOURCES.identity, self._write("identity", number, record.key, record.value))

    def _commit(self) -> None:
        for number, core in enumerate(self._cores):
            for record in sealed_records(core.checkpoint(self._ends.get(("decisions", number), 0), 1)):
                self._write("state", number, record.key, record.value)
            self._deliver(core.durable())

    def _write(
        self,
        role: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: tuple[tuple[str, bytes | None], ...] = (),
    ) -> ReadRecord:
        offset = self._ends.get((role, partition), 0)
        self._ends[role, partition] = offset + 1
        record = ReadRecord(role, partition, offset, SENT_AT, key, value, headers)
        self.read[role].append(record)
        return record
