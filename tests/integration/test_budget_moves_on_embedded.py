"""Two workers on the embedded broker share a budget that moves between partitions, and one of them is killed."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.builders import START, Click, click
from support.embedded import embedded_kafka, running, send_clicks
from support.made_again import made_again, run
from support.scenarios import await_lag_zero
from support.workers import TopicReader, environment, worker

from forestay.core.units import MINUTE, SECOND
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import (
    BudgetSettings,
    ClockSource,
    Settings,
    TopicSettings,
    TritonSettings,
    WorkerSettings,
)
from forestay.shell.placement import Placement
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

LIMIT = 4_000
CATALOGUE = {
    "name": "moves",
    "offers": [
        {
            "id": "mail",
            "kind": "message",
            "channel": "email",
            "effect": 0.5,
            "cost": {"fixed": 0.2},
            "budgets": ["day"],
        },
        {
            "id": "call",
            "kind": "outreach",
            "channel": "call",
            "effect": 0.9,
            "cost": {"fixed": 1.5},
            "budgets": ["day"],
        },
    ],
    "policy": {"margin": 1.0},
    "guardrails": {"cap_contacts": None, "cooldown_days": 0, "holdout": 0},
    "budgets": [{"id": "day", "limit": LIMIT}],
}
#: Minutes of event time, each sent once the one before is worked off: so workers hear of each other in time.
MINUTES = 16


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump(CATALOGUE))
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    with running(broker):
        yield Settings(
            kafka=embedded_kafka(broker.bootstrap_servers, session=4),
            topics=TopicSettings(),
            triton=TritonSettings(url="127.0.0.1:9"),
            budgets=BudgetSettings(moves=True, interval_seconds=30),
            worker=WorkerSettings(clock=ClockSource.NONE, commit_interval_seconds=0.1),
            catalogue=catalogue,
        )


def minute_of(number: int, users: dict[int, list[str]]) -> list[Click]:
    """Nine purchases in partition 0, and one in each of the others; each by a user who has not been there yet."""
    begin = START + number * MINUTE
    buyers = [own.pop() for partition, own in users.items() for _ in range(1 if partition else 9)]
    return [
        click(f"e{number}-{place}", user, "purchase", begin + place * 4 * SECOND, price=9_000, quantity=1)
        for place, user in enumerate(buyers)
    ]


def taken(settings: Settings) -> Counter[int]:
    """Returns what all decisions took, by partition."""
    reader = TopicReader(settings, settings.topics.decisions)
    found = Counter[int]()
    for record in reader.read_to_end():
        found[record.partition] += sum(draw["amount"] for draw in json.loads(record.value)["budgets"])
    reader.close()
    return found


def test_what_is_left_goes_where_it_is_needed_and_no_unit_is_spent_twice(settings: Settings, tmp_path: Path) -> None:
    declare(settings.kafka, settings.topics)
    place = Placement(settings.topics.partitioner, settings.topics.partitions).partition
    users: dict[int, list[str]] = {number: [] for number in range(settings.topics.partitions)}
    for number in range(1_000):
        users[place(f"u{number}".encode())].append(f"u{number}")
    minutes = iter([minute_of(number, users) for number in range(MINUTES)])
    with worker(environment(settings)) as first, worker(environment(settings)) as second:
        for _ in range(MINUTES // 2):
            send_clicks(settings, next(minutes))
            await_lag_zero(settings)
        send_clicks(settings, next(minutes))
        second.kill()
        for clicks in minutes:
            send_clicks(settings, clicks)
            await_lag_zero(settings)
        assert first.stop() == 0
    by_partition = taken(settings)
    assert by_partition[0] > LIMIT // settings.topics.partitions + 1
    assert sum(by_partition.values()) <= LIMIT
    code, said = run(settings, "budget", "status", "--json")
    (account,) = json.loads(said)["accounts"]
    assert code == 0
    assert account["spent"] == sum(by_partition.values())
    shares = account["shares"]
    assert sum(one["left"] for one in shares) + account["on_the_way"] == account["left"] >= 0
    assert sum(one["received"] for one in shares) > 0
    assert account["on_the_way"] >= 0
    again = made_again(settings, tmp_path / "recording")
    assert again["first_difference"] is None
    assert again["starts"] > settings.topics.partitions
