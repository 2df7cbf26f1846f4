"""Fills the durable state of all users from history, so that workers start with it (docs/backfill.md)."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple

from forestay.core.decoding.decode import decode_click
from forestay.core.errors import ConfigurationError, DeadLetter, ForestayError
from forestay.core.event import NEVER, Event
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.state.mark import UNWRITTEN
from forestay.core.state.seal import sealed_records
from forestay.history.fill import Filled, Filler
from forestay.history.told import History, Told
from forestay.settings import Settings
from forestay.shell.backfill.source import clickstream
from forestay.shell.backfill.survey import Survey, survey
from forestay.shell.members import check_nobody_works
from forestay.shell.placement import Placement
from forestay.shell.publisher import KafkaPublisher
from forestay.shell.recovery.recover import recover

Tell = Callable[[str, int, int | None], None]
#: An event of a file, and its value.
Click = tuple[Event, bytes]
#: Between two calls of `Tell`.
_STEP: Final = 2_000
#: Users written at once.
_BATCH: Final = 1_000
#: Users of whom a report shows what changes.
_SAMPLE: Final = 5


class Change(NamedTuple):
    """Features of one user that differ: name, before, after, at the user's newest moment."""

    user_id: str
    features: list[tuple[str, float, float]]


class Report(NamedTuple):
    """What was done, or would be: counts of users, bytes written, and a sample of what changes.

    `known` users had a state; of them and of `new` ones, `changed` get another record, `unchanged` were right
    already, and of `short` ones history has fewer events than their state, so that only what was empty is filled.
    `events` were read, of which `unreadable` records of the topic were passed over.
    """

    known: int
    changed: int
    new: int
    unchanged: int
    short: int
    bytes: int
    events: int
    unreadable: int
    sample: list[Change]


class Plan(NamedTuple):
    """What to fill from: the events of files, the clickstream from its beginning, or both; and what to fill.

    `families` None means all, and event ids, orders and triggers with them.
    """

    clicks: Iterable[Click]
    from_topic: bool
    families: Collection[str] | None
    dry_run: bool


class Backfill:
    """One run."""

    def __init__(self, settings: Settings, rules: Rules, partitions: int, plan: Plan, tell: Tell) -> None:
        """`partitions` is how many the clickstream has."""
        self._settings = settings
        self._rules = rules
        self._partitions = partitions
        self._plan = plan
        self._tell = tell
        self._filler = Filler(rules, plan.families)
        self._counts: Counter[str] = Counter()
        self._sample: list[Change] = []
        self._newest = NEVER

    async def run(self) -> Report:
        """Fills partition after partition; a run that was cut short is simply run again.

        Raises:
            ConfigurationError: workers are at work, or there is no state to fill.
            ForestayError: what was written does not read back, or the broker does not answer.
        """
        await check_nobody_works(self._settings)
        found = await survey(self._settings, self._rules, self._partitions)
        if self._plan.from_topic and all(mark.generation == UNWRITTEN for mark in found.marks.values()):
            raise ConfigurationError("there is no state yet to fill: start a worker, which reads the topic itself")
        self._counts["known"] = found.users
        with History(self._partitions) as history:
            self._take_files(history, found)
            if self._plan.from_topic:
                await self._take_topic(history, found)
            for number in range(self._partitions):
                await self._fill(number, history, found)
        if not self._plan.dry_run:
            await check_nobody_works(self._settings)
        return Report(
            sample=self._sample, **{name: self._counts[name] for name in Report._fields if name != "sample"}
        )

    # -- history -------------------------------------------------------------------------------------

    def _take_files(self, history: History, found: Survey) -> None:
        placement = Placement(self._settings.topics.partitioner, self._partitions)
        for event, value in self._plan.clicks:
            user_id = event.user_id
            owner, number = found.owners.get(user_id) or (user_id, placement.partition(user_id.encode()))
            if found.takes(number, event.ts):
                self._newest = max(self._newest, event.ts)
                history.add(Told(user_id, event.ts, NEVER, value), owner, number)
                self._counts["events"] += 1

    async def _take_topic(self, history: History, found: Survey) -> None:
        """Takes the clickstream from its beginning to its end; what of it a state holds is decided user by user."""
        watermarks = dict.fromkeys(range(self._partitions), 0)
        async for number, records in clickstream(self._settings, self._partitions):
            self._counts["events"] += len(records)
            self._tell("reading the clickstream", self._counts["events"], None)
            for record in records:
                try:
                    event = decode_click(record, self._rules)
                except DeadLetter:
                    self._counts["unreadable"] += 1
                    continue
                watermark = watermarks[number]
                watermarks[number] = max(watermark, event.ts)
                owner, home = found.owners.get(event.user_id, (event.user_id, number))
                history.add(Told(event.user_id, record.offset, watermark, record.value or b""), owner, home)

    # -- filling -------------------------------------------------------------------------------------

    async def _fill(self, number: int, history: History, found: Survey) -> None:
        """Fills one partition's users, writes those that change, and reads them back."""
        settings = self._settings
        users = (await recover(settings.kafka, settings.topics, [number]))[number].users
        changed = self._changed(number, users, history, found)
        if self._plan.dry_run or not changed:
            return
        await check_nobody_works(settings)
        records = sealed_records([OutputRecord(user_id.encode(), changed[user_id]) for user_id in sorted(changed)])
        async with KafkaPublisher(settings.kafka, settings.worker.barrier_deadline_seconds) as publisher:
            for start in range(0, len(records), _BATCH):
                await publisher.publish(settings.topics.state, number, records[start : start + _BATCH])
                self._tell(f"writing partition {number}", start, len(records))
        written = (await recover(settings.kafka, settings.topics, [number]))[number].users
        wrong = sum(written.get(user_id) != record for user_id, record in changed.items())
        if wrong:
            raise ForestayError(
                f"{wrong} of {len(changed)} users of partition {number} do not read back as written: did a worker"
                " start meanwhile? Stop it and run the backfill again"
            )

    def _changed(self, number: int, users: dict[str, bytes], history: History, found: Survey) -> dict[str, bytes]:
        owners = {other: owner for other, (owner, _) in found.owners.items()}
        times = found.times(number, self._newest)
        changed: dict[str, bytes] = {}
        done = 0
        for bucket in history.buckets(number):
            for user_id, told in history.users(bucket, owners):
                done += 1
                if done % _STEP == 0:
                    self._tell(f"filling partition {number}, users", done, None)
                filled = self._filler.fill(user_id, users.get(user_id), told, times)
                if filled is not None:
                    self._count(user_id, filled)
                    if filled.record is not None:
                        changed[user_id] = filled.record
        return changed

    def _count(self, user_id: str, filled: Filled) -> None:
        if filled.is_short:
            self._counts["short"] += 1
        if filled.record is None:
            self._counts["unchanged"] += 1
            return
        self._counts["bytes"] += len(filled.record)
        if filled.before is None:
            self._counts["new"] += 1
        else:
            self._counts["changed"] += 1
        if len(self._sample) < _SAMPLE:
            self._sample.append(self._change(user_id, filled))

    def _change(self, user_id: str, filled: Filled) -> Change:
        features, after = self._rules.features, filled.after
        now = max(after.last_ts, after.scored_ts)
        parts = features.new_parts() if filled.before is None else filled.before.parts
        latest = NEVER if filled.before is None else filled.before.last_ts
        pairs: Any = zip(
            features.names,
            features.values(parts, now, latest),
            features.values(after.parts, now, after.last_ts),
            strict=True,
        )
        return Change(user_id, [(name, old, new) for name, old, new in pairs if old != new])
