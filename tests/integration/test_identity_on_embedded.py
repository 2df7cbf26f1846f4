"""Two workers on the embedded broker bring ids of different partitions together, and are killed while they do."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.account import latest_states
from support.builders import START, Click, click, feature, lived
from support.embedded import embedded_kafka, running, send_clicks
from support.scenarios import await_state, check_work_is_left
from support.workers import TopicReader, environment, worker

from forestay.core.feature_set import DEFAULT_FEATURES
from forestay.core.state.user_state import UserState
from forestay.core.units import DAY, SECOND
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import ClockSource, Settings, TopicSettings, TritonSettings, WorkerSettings
from forestay.shell.placement import Placement
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

PEOPLE = 60
EVENTS = 24_000


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    with running(broker):
        yield Settings(
            kafka=embedded_kafka(broker.bootstrap_servers, session=4),
            topics=TopicSettings(),
            triton=TritonSettings(url="127.0.0.1:9"),
            worker=WorkerSettings(clock=ClockSource.NONE, commit_interval_seconds=0.2, batch_records=20),
        )


def history(seed: int) -> list[Click]:
    """People who look around under a device's id, and log in now and then; some on two devices."""
    chance = random.Random(seed)
    clicks = []
    for number in range(EVENTS):
        person, device = chance.randrange(PEOPLE), chance.choice("ab")
        more: Click = {"item_id": f"i{chance.randrange(9)}", "price": chance.randrange(50)}
        name = f"{device}-{person}"
        if chance.random() < 0.4:
            name = f"user-{person}"
            if chance.random() < 0.5:
                more["anonymous_id"] = f"{device}-{person}"
        kind = chance.choice(["view_item", "add_to_cart", "purchase"])
        clicks.append(click(f"e{number}", name, kind, START + number * 10 * SECOND, **more))
    return clicks


def counted(states: dict[str, UserState]) -> int:
    return sum(state.applied for state in states.values())


def is_together(states: dict[str, UserState]) -> bool:
    """Says whether all is counted, and no id is on its way any more."""
    identities = [state.identity for state in states.values() if state.identity is not None]
    waiting = [one for one in identities if one.asked or (one.merged_into and not one.moved)]
    return counted(states) == EVENTS and not waiting


def test_two_workers_one_of_them_killed_bring_every_id_together_once(settings: Settings) -> None:
    declare(settings.kafka, settings.topics)
    clicks = history(1)
    placement = Placement(settings.topics.partitioner, settings.topics.partitions)
    apart = Counter(
        placement.partition(one["user_id"].encode()) != placement.partition(one["anonymous_id"].encode())
        for one in clicks
        if "anonymous_id" in one
    )
    assert apart[True] > apart[False] > 0
    half, few = EVENTS // 2, EVENTS // 20
    with worker(environment(settings)) as first, worker(environment(settings)) as second:
        send_clicks(settings, clicks[:few])
        await_state(settings, lambda states: counted(states) > few // 2)
        send_clicks(settings, clicks[few:half])
        second.kill()
        check_work_is_left(settings)
        with worker(environment(settings)) as third:
            await_state(settings, lambda states: counted(states) > half // 2)
            send_clicks(settings, clicks[half:])
            first.kill()
            check_work_is_left(settings)
            await_state(settings, is_together, 120)
            assert third.stop() == 0
    check(settings, clicks)


def check(settings: Settings, clicks: list[Click]) -> None:
    """Asserts that the state on the changelog is that of people who had one id from the start."""
    reader = TopicReader(settings, settings.topics.state)
    states = latest_states(reader.read_to_end())
    reader.close()
    named = {one["anonymous_id"] for one in clicks if "anonymous_id" in one}
    assert len(named) > PEOPLE
    for name in named:
        identity = states[name].identity
        assert identity is not None
        assert (identity.merged_into, identity.moved, states[name].applied) == (f"user-{name[2:]}", True, 0)
    for person in range(PEOPLE):
        user = f"user-{person}"
        ids = {user, f"a-{person}", f"b-{person}"} & {user, *named}
        own = [one for one in clicks if one["user_id"] in ids]
        expected, found = lived(*own), states[user]
        now = found.last_ts
        assert (found.applied, now) == (len(own), expected.last_ts)
        for moment in (now, now + DAY):
            vector = DEFAULT_FEATURES.vector(found.parts, moment, now)
            assert (vector == DEFAULT_FEATURES.vector(expected.parts, moment, now)).all()
        assert feature(found, "spend_total") == feature(expected, "spend_total")
