"""The real pipeline over fakes: what becomes durable in which order, and a publisher that fails at any record."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from faust.types import TP
from support.builders import (
    CLOCK_TOPIC,
    DIGEST,
    MODEL,
    SOURCES,
    START,
    TOPIC,
    catalogue,
    click,
    offer,
    source,
    tick,
    user,
)
from support.fakes import FakePublisher, FakeScorer, hashing_model
from support.ledger_world import InMemory, again

from forestay.core.applied import Restored
from forestay.core.ledger import Found, users_digest
from forestay.core.partition import Partition
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.state.seal import unsealed
from forestay.core.state.state_codec import MARK_KEY, decode_mark
from forestay.core.units import DAY, HOUR
from forestay.settings import TopicSettings, WorkerSettings
from forestay.shell.pipeline import Outside, Pipeline
from forestay.shell.placement import Placement
from forestay.shell.publisher import PublishError
from forestay.shell.timings import Timings
from forestay.shell.transport import Chunk
from forestay_schemas import Decision, LedgerBatch, LedgerCommit, LedgerRecord, LedgerStart

TOPICS = TopicSettings()
SHOP = catalogue(offer("a", effect=0.9), offer("b", effect=0.5), cooldown_days=1, policy={"exploration": 0.5})
ENDS = {TP(TOPIC, 0): 24, TP(CLOCK_TOPIC, 0): 1}
Log = dict[tuple[str, int], list[OutputRecord]]


class FakeSource:
    """A consumer whose commits are kept, each with how much state was durable then; `done` at the sources' ends.

    The first `refused` commits take nothing, as in a rebalance.
    """

    def __init__(self, publisher: FakePublisher, refused: int) -> None:
        self.commits: list[tuple[dict[TP, int], int]] = []
        self.done = asyncio.get_running_loop().create_future()
        self._publisher = publisher
        self.refused = refused

    def seek_before_next_fetch(self, positions: dict[TP, int]) -> int:
        raise AssertionError(positions)

    def log_end(self, tp: TP) -> int:
        return ENDS[tp]

    async def commit_positions(self, positions: dict[TP, int]) -> bool:
        if self.refused:
            self.refused -= 1
            return False
        self.commits.append((positions, len(self._publisher.log[TOPICS.state, 0])))
        if positions == ENDS and not self.done.done():
            self.done.set_result(None)
        return True


def sources() -> list[SourceRecord]:
    events = [
        click(f"e{n}", f"u{n % 3}", "purchase", START + n * 9 * HOUR, price=20 + n, order_id=f"o{n}")
        for n in range(24)
    ]
    records = [source(event, n) for n, event in enumerate(events)]
    records[5] = records[5]._replace(value=b"{")
    return records


def recover(log: Log) -> tuple[Partition, Restored, Found]:
    """Returns a partition as shell/recovery/recover.py restores it, what it repeats, and what was durable."""
    latest = {record.key: record.value for record in log[TOPICS.state, 0]}
    marked = latest.pop(MARK_KEY, None)
    mark = None if marked is None else decode_mark(unsealed(MARK_KEY, marked))
    decisions = [Decision.model_validate_json(record.value or b"") for record in log[TOPICS.decisions, 0]]
    core = Partition(0, SOURCES, Rules(), SHOP)
    users = {(key or b"").decode(): unsealed(key or b"", value) for key, value in latest.items() if value is not None}
    since = mark.decisions if mark else 0
    found = Found(users_digest(users), range(since, len(decisions)))
    return core, core.restore(users, mark, decisions[since:]), found


async def live(publisher: FakePublisher, salt: str = "a", refused: int = 0) -> FakeSource:
    """Runs one life of a pipeline over all sources, to their end or to the publisher's failure."""
    core, restored, found = recover(publisher.log)
    consumer = FakeSource(publisher, refused)
    settings = WorkerSettings(batch_records=4, commit_interval_seconds=1e-9)
    scorer = FakeScorer(MODEL, hashing_model(salt))
    pipeline = Pipeline(
        core,
        restored,
        found,
        1,
        Outside(scorer, publisher, consumer, TOPICS, settings, Timings(), Placement("murmur2", 1), DIGEST),
    )
    work = asyncio.create_task(pipeline.run())
    for chunk in (Chunk(TOPIC, 0, 0, sources()), Chunk(CLOCK_TOPIC, 0, 0, [tick(START + 60 * DAY)])):
        put = asyncio.create_task(pipeline.put(chunk))
        await asyncio.wait([put, work], return_when=asyncio.FIRST_COMPLETED)
        put.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait([work, consumer.done], return_when=asyncio.FIRST_COMPLETED)
        pipeline.stop()
        await work
    return consumer


async def test_the_group_is_told_again_what_it_refused_and_what_a_predecessor_did_not_tell() -> None:
    refusing = await live(FakePublisher(), refused=1_000)
    assert refusing.commits[-1][0] == ENDS
    publisher = FakePublisher()
    await live(publisher)
    written = len(publisher.log[TOPICS.state, 0])
    successor = await live(publisher)
    assert successor.commits == [(ENDS, written)]
    assert len(publisher.log[TOPICS.state, 0]) == written


def jsons(records: Sequence[OutputRecord]) -> list[dict[str, object]]:
    return [json.loads(record.value or b"") for record in records]


async def test_decisions_become_durable_before_actions_state_after_both_and_offsets_last() -> None:
    publisher = FakePublisher()
    consumer = await live(publisher)
    calls = publisher.calls
    written = {TOPICS.decisions, TOPICS.actions, TOPICS.outcomes, TOPICS.ledger, TOPICS.state, TOPICS.dead_letters}
    assert written == set(calls)
    for number, topic in enumerate(calls):
        if topic == TOPICS.actions:
            assert calls[:number].count(TOPICS.decisions) > calls[:number].count(TOPICS.actions)
    assert all(before == TOPICS.ledger for before, topic in pairwise(calls) if topic == TOPICS.state)
    assert calls[-1] == TOPICS.state
    for positions, durable in consumer.commits:
        marks = [record for record in publisher.log[TOPICS.state, 0][:durable] if record.key == MARK_KEY]
        mark = decode_mark(unsealed(MARK_KEY, marks[-1].value or b""))
        assert {TP(topic, 0): position for topic, position in mark.positions.items()} == positions
    assert consumer.commits[-1][0] == ENDS


def entries(log: Log) -> list[LedgerStart | LedgerBatch | LedgerCommit]:
    return [LedgerRecord.model_validate_json(record.value or b"").root for record in log[TOPICS.ledger, 0]]


async def test_the_ledger_tells_how_all_durable_state_came_about() -> None:
    for fail_after in range(await records_of_a_quiet_life()):
        publisher = FakePublisher(fail_after)
        with pytest.raises(PublishError):
            await live(publisher)
        successor = FakePublisher()
        successor.log = publisher.log
        await live(successor)
        positions: dict[str, int] = {}
        for entry in entries(successor.log):
            if isinstance(entry, LedgerBatch):
                assert entry.begin == positions.get(entry.topic, 0), fail_after
                positions[entry.topic] = entry.end
            elif isinstance(entry, LedgerStart):
                assert all(positions[topic] >= position for topic, position in entry.positions.items())
                positions = dict(entry.positions)
            else:
                assert entry.positions == positions
        assert {TP(topic, 0): position for topic, position in positions.items()} == ENDS, fail_after
        # Each takes 20 ms; the lives of test_rerun_ledger crash anywhere too.
        if fail_after % 4 == 0:
            assert again(recorded(successor.log), Rules(), SHOP).divergence is None, fail_after


def recorded(log: Log) -> InMemory:
    """Returns all topics as a recording."""
    roles = ("decisions", "actions", "dead_letters", "ledger")
    recordings = InMemory(**{role: log[getattr(TOPICS, role), 0] for role in roles})
    recordings.logs |= {TOPIC: sources(), CLOCK_TOPIC: [tick(START + 60 * DAY)]}
    return recordings


async def records_of_a_quiet_life() -> int:
    publisher = FakePublisher()
    await live(publisher)
    return sum(map(len, publisher.log.values()))


async def test_a_publisher_that_fails_at_any_record_stops_the_line_and_a_successor_makes_it_good() -> None:
    for fail_after in range(await records_of_a_quiet_life()):
        broken = FakePublisher(fail_after)
        with pytest.raises(PublishError):
            await live(broken)
        # The successor's model answers otherwise.
        successor = FakePublisher()
        successor.log = broken.log
        await live(successor, salt="b")
        check(successor.log, fail_after)


def check(log: Log, fail_after: int) -> None:
    core = recover(log)[0]
    users = [user(core, user_id) for user_id in core.users.ids()]
    assert sum(state.applied for state in users) == 23, fail_after
    assert {dict(letter.headers)["forestay-offset"] for letter in log[TOPICS.dead_letters, 0]} == {b"5"}
    decisions, actions = jsons(log[TOPICS.decisions, 0]), jsons(log[TOPICS.actions, 0])
    assert max(Counter(str(decision["decision_id"]) for decision in decisions).values()) == 1, fail_after
    acts = {(d["action_id"], d["decision_id"], d["offer_id"]) for d in decisions if d["action_id"]}
    assert {(a["action_id"], a["decision_id"], a["offer_id"]) for a in actions} == acts, fail_after
    assert sum(len(state.contacts) for state in users) == len(acts), fail_after
