"""A backfill on the embedded broker: a family switched on later is as if it had been on from the start."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.builders import Click, click
from support.embedded import embedded_kafka, running, send_clicks
from support.features import features_of
from support.own_topics import own_topics
from support.scenarios import RECORDING, await_lag_zero, await_state, send
from support.workers import environment, worker
from typer.testing import CliRunner, Result

from forestay.cli.backfilling import fill
from forestay.cli.featuring import rules_of
from forestay.cli.main import app
from forestay.core.errors import ConfigurationError
from forestay.core.packing import RecordWriter
from forestay.core.rules import Rules
from forestay.core.state.event_ids import EventIds
from forestay.core.state.mark import PartitionMark
from forestay.core.state.state_codec import HEADER, decode_user, encode_user
from forestay.core.state.user_state import UserState
from forestay.core.units import HOUR, MINUTE, to_milliseconds
from forestay.embedded.broker import EmbeddedBroker
from forestay.recording import open_recording, write_recording
from forestay.settings import ClockSource, EngineSettings, Settings, TopicSettings, WorkerSettings
from forestay.shell.recovery.recover import Recovered, recover
from forestay.shell.topics import admin_client, committed_offsets, declare, end_offsets
from forestay_schemas import ClickEvent

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

EVENTS = 12_000
#: Users who turn out to have another id.
MERGED = 30
#: What the shop did without at first.
OFF = ("distinct", "cart", "windows")
FEWER = {
    "FORESTAY_FEATURES__FAMILIES": json.dumps(["sessions", "recency", "lifetime", "sequence"]),
    "FORESTAY_ENGINE__SCORE_ON": "[]",
}


def settings_of(servers: str, name: str) -> Settings:
    """Settings of a shop of this name: it shares the clickstream with others, and nothing else."""
    return Settings(
        kafka=embedded_kafka(servers, group_id=name),
        topics=own_topics(name, clickstream=TopicSettings().clickstream),
        engine=EngineSettings(score_on=frozenset()),
        worker=WorkerSettings(clock=ClockSource.NONE),
    )


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[str]:
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    with running(broker):
        yield broker.bootstrap_servers


def newest_moment() -> int:
    values = [m.value or b"" for m in open_recording(RECORDING).messages(EVENTS - 10, EVENTS)]
    return max(to_milliseconds(ClickEvent.model_validate_json(value).ts) for value in values)


def by_hand(now: int) -> list[Click]:
    """Carts, late events, events that come twice, and ids that turn out to be one user."""
    clicks: list[Click] = []
    for number in range(MERGED):
        user, other = f"user-{number}", f"device-{number}"
        item = {"item_id": f"i{number}", "price": 2.5, "quantity": 2}
        clicks += [
            click(f"a{number}", other, "add_to_cart", now - HOUR, **item),
            click(f"b{number}", user, "view_item", now + number, **item),
            click(f"c{number}", user, "login", now + MINUTE, anonymous_id=other),
            click(f"d{number}", user, "add_to_cart", now - 30 * HOUR, **item),
            click(f"a{number}", other, "add_to_cart", now - HOUR, **item),
            click(f"e{number}", other, "purchase", now + 2 * MINUTE, order_id=f"o{number}", **item),
            click(f"f{number}", user, "add_to_cart", now - 90 * HOUR, **item),
        ]
    return clicks


def await_identities(settings: Settings, merged: int) -> None:
    """Returns when `merged` users have taken in another id, and nothing of it is on its way."""
    if not merged:
        return
    await_state(settings, lambda found: sum(has_taken(state) for state in found.values()) == merged)
    topic, partitions = settings.topics.identity, settings.topics.partitions
    ends = {number: end for number, end in end_offsets(settings.kafka, {topic: partitions})[topic].items() if end}
    deadline = time.monotonic() + 30
    with admin_client(settings.kafka) as admin:
        while committed_offsets(admin, settings.kafka.group_id).get(topic) != ends:
            assert time.monotonic() < deadline, ends
            threading.Event().wait(0.1)


def has_taken(state: UserState) -> bool:
    return state.identity is not None and bool(state.identity.absorbed)


def work(settings: Settings, more: dict[str, str], merged: int = 0) -> None:
    """Runs a worker over all there is, and stops it."""
    engine = {"FORESTAY_ENGINE__SCORE_ON": "[]"}
    with worker(environment(settings) | engine | more) as process:
        await_lag_zero(settings)
        await_identities(settings, merged)
        assert process.stop() == 0


def recovered(settings: Settings) -> dict[int, Recovered]:
    return asyncio.run(recover(settings.kafka, settings.topics, range(settings.topics.partitions)))


def states(settings: Settings) -> dict[str, dict[str, bytes]]:
    """What every record says, written anew as of the watermark: two workers commit at other moments."""
    rules = rules_of(settings)
    found = {}
    for partition in recovered(settings).values():
        assert isinstance(partition.mark, PartitionMark)
        for user_id, record in partition.users.items():
            state = decode_user(record, rules.features)
            if has_taken(state):
                # Whether an event came before or after the move is chance: it is counted either way.
                state.event_ids = EventIds()
                state.identity = None
            oldest = partition.mark.watermark - rules.lateness
            if state.patterns is not None:
                state.patterns.forget(oldest, rules.patterns)
                state.patterns = None if state.patterns.is_empty() else state.patterns
            found[user_id] = said(state, rules, oldest)
    return found


def said(state: UserState, rules: Rules, oldest: int) -> dict[str, bytes]:
    """What a record says by family, and what else it says behind the version and the minute of the timer."""
    by_family = {}
    for family, part in zip(rules.features.families, state.parts, strict=True):
        writer = RecordWriter()
        part.write(writer, state.last_ts, max(state.last_ts, state.scored_ts))
        by_family[family.name] = writer.written()
    state.parts = []
    return {"else": encode_user(state, rules.features, oldest, rules.lateness, -1)[HEADER:], **by_family}


def differing(found: dict[str, dict[str, bytes]], expected: dict[str, dict[str, bytes]]) -> dict[str, Any]:
    """What differs, by user: the family, found and expected."""
    return {
        user: [(name, found[user][name], part) for name, part in parts.items() if found[user][name] != part]
        for user, parts in expected.items()
        if found[user] != parts
    }


def state_end(settings: Settings) -> dict[int, int]:
    return end_offsets(settings.kafka, {settings.topics.state: settings.topics.partitions})[settings.topics.state]


def test_a_family_switched_on_later_is_as_if_it_had_always_been_on(servers: str) -> None:
    always, later = settings_of(servers, "always"), settings_of(servers, "later")
    for settings in (always, later):
        declare(settings.kafka, settings.topics)
    send(always, 0, EVENTS)
    send_clicks(always, by_hand(newest_moment()))
    work(always, {}, MERGED)
    work(later, FEWER, MERGED)
    expected, before, end = states(always), states(later), state_end(later)
    assert expected.keys() == before.keys()
    assert expected != before

    would = fill(later, [], from_topic=True, families=None, dry_run=True)
    assert state_end(later) == end
    assert would.changed == sum(before[user] != expected[user] for user in before)
    changed = {name for change in would.sample for name, _, _ in change.features}
    assert any(name.startswith("distinct_items") for name in changed)

    done = fill(later, [], from_topic=True, families=OFF, dry_run=False)
    assert (done.changed, done.short, done.new) == (would.changed, 0, 0)
    assert differing(states(later), expected) == {}
    fill(later, [], from_topic=True, families=None, dry_run=False)
    end = state_end(later)
    again = fill(later, [], from_topic=True, families=None, dry_run=False)
    assert differing(states(later), expected) == {}
    assert (again.changed, again.unchanged, again.short) == (0, done.changed + done.unchanged, 0)
    assert state_end(later) == end
    work(later, {})
    assert differing(states(later), expected) == {}


def test_it_refuses_while_a_worker_is_at_work_and_disturbs_nothing(servers: str) -> None:
    settings = settings_of(servers, "busy")
    declare(settings.kafka, settings.topics)
    send(settings, 0, 500)
    with worker(environment(settings) | {"FORESTAY_ENGINE__SCORE_ON": "[]"}) as process:
        await_lag_zero(settings)
        end = state_end(settings)
        with pytest.raises(ConfigurationError, match="group busy has 1 live member: stop the workers first"):
            fill(settings, [], from_topic=True, families=None, dry_run=False)
        assert state_end(settings) == end
        send(settings, 500, 1_000)
        await_lag_zero(settings)
        assert process.stop() == 0


def of_users(settings: Settings) -> dict[str, UserState]:
    features = rules_of(settings).features
    found = recovered(settings).values()
    return {user_id: decode_user(record, features) for one in found for user_id, record in one.users.items()}


def test_a_new_shop_starts_with_the_past_of_its_files(servers: str, tmp_path: Path) -> None:
    worked, fresh = settings_of(servers, "worked"), settings_of(servers, "fresh")
    for settings in (worked, fresh):
        declare(settings.kafka, settings.topics)
    with pytest.raises(ConfigurationError, match="no state yet to fill"):
        fill(fresh, [], from_topic=True, families=None, dry_run=False)
    send(worked, 0, 4_000)
    work(worked, {})
    past = tmp_path / "past.parquet"
    recording = open_recording(RECORDING)
    write_recording(past, recording.messages(0, 4_000), recording.metadata)
    report = fill(fresh, [past], from_topic=False, families=None, dry_run=False)
    expected, found = of_users(worked), of_users(fresh)
    assert report.new == len(found) == len(expected)
    features = rules_of(worked).features
    for user_id, state in found.items():
        wanted = expected[user_id]
        assert features_of(state, features, state.last_ts) == features_of(wanted, features, state.last_ts), user_id
    # The same events then come from the topic: each is known.
    work(fresh, {})
    after = of_users(fresh)
    assert {user: state.applied for user, state in after.items()} == {u: s.applied for u, s in expected.items()}


def command(settings: Settings, *arguments: str) -> Result:
    """Runs a command of the shop with these settings, as its data engineer would."""
    done = CliRunner().invoke(app, list(arguments), env=environment(settings))
    assert done.exit_code == 0, done.output
    return done


def on_topics_of_its_own(settings: Settings, name: str, partitions: int) -> Settings:
    return settings.model_copy(update={"topics": own_topics(name, partitions=partitions)})


def test_a_shop_moves_to_more_partitions_as_the_page_says(servers: str, tmp_path: Path) -> None:
    """docs/recovery.md, "More partitions", by its commands; beside it a shop that always had so many."""
    old = on_topics_of_its_own(settings_of(servers, "old"), "old", 2)
    new, always = (on_topics_of_its_own(settings_of(servers, name), name, 6) for name in ("new", "always"))
    for settings in (old, new, always):
        command(settings, "topics", "declare")
    send(old, 0, 3_000)
    work(old, {})
    folder = str(tmp_path / "old")
    command(old, "record", folder, "clickstream", "--until", "now")
    report = json.loads(command(new, "backfill", "--from", folder, "--json").stdout)
    assert (report["events"], report["new"]) == (3_000 - report["unreadable"], len(of_users(old)))
    send(new, 3_000, 4_000)
    work(new, {})
    send(always, 0, 4_000)
    work(always, {})
    expected, found = of_users(always), of_users(new)
    assert {user: state.applied for user, state in found.items()} == {u: s.applied for u, s in expected.items()}
    features = rules_of(new).features
    for user_id, state in found.items():
        wanted = expected[user_id]
        assert features_of(state, features, state.last_ts) == features_of(wanted, features, state.last_ts), user_id
