"""A catalogue pushed while a worker runs: taken between two batches, named by the ledger, made again to the byte."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from support.builders import catalogue, offer
from support.embedded import Outgoing, embedded_kafka, running, send_records
from support.made_again import ROLES, run
from support.scenarios import await_lag_zero, send
from support.workers import TopicReader, WorkerProcess, environment, worker

from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import CatalogueSource, ClockSource, Settings, TritonSettings, WebSettings, WorkerSettings
from forestay.shell.catalogue_pushing import Said, check_topic, push, read_history
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(240)]

ME = Said("me", "a test")


def shop(name: str) -> Catalogue:
    return catalogue(offer(name, cooldown_days=0.1), policy={"margin": 1.0, "exploration": 0.0})


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    with running(broker):
        yield Settings(
            kafka=embedded_kafka(broker.bootstrap_servers),
            triton=TritonSettings(url="127.0.0.1:1", deadline_seconds=0.1, breaker_failures=1),
            worker=WorkerSettings(
                clock=ClockSource.NONE, catalogue_source=CatalogueSource.TOPIC, catalogue_poll_seconds=0.1
            ),
            web=WebSettings(port=0),
        )


def pushed(settings: Settings, one: Catalogue, after: int) -> int:
    return asyncio.run(push(settings, one, ME, after))


def await_log(process: WorkerProcess, text: str, times: int = 1) -> None:
    """Returns when the worker has logged `text` so often."""
    deadline, pause = time.monotonic() + 60, Event()
    while sum(text in line for line in list(process.log)) < times:
        assert time.monotonic() < deadline, "".join(process.log)
        # The pipe has no event for it.
        pause.wait(0.05)


def metrics(process: WorkerProcess) -> str:
    line = next(line for line in process.log if "web port" in line)
    address = line.partition("web port ")[2].partition(": ")[0]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def decided(settings: Settings) -> list[dict[str, object]]:
    reader = TopicReader(settings, settings.topics.decisions)
    try:
        return [json.loads(record.value) for record in reader.read_to_end()]
    finally:
        reader.close()


def versions(settings: Settings) -> list[str]:
    """Returns the catalogues that the batches of each partition ran under, as the ledger tells, repeats left out."""
    reader = TopicReader(settings, settings.topics.ledger)
    try:
        entries = [json.loads(record.value) for record in reader.read_to_end()]
    finally:
        reader.close()
    batches = [(entry["partition"], entry["catalogue"]) for entry in entries if entry["kind"] == "batch"]
    return [version for _, version in sorted(set(batches), key=batches.index)]


def check_made_again(settings: Settings, folder: Path) -> None:
    """By the ledger and the recorded topic everything comes out to the byte; what the file says plays no part."""
    run(settings, "record", folder, *ROLES, "catalogue")
    code, said = run(settings, "rerun", folder, "--ledger", "--json")
    assert code == 0, said


def test_a_running_worker_takes_what_is_pushed_and_the_ledger_names_it(settings: Settings, tmp_path: Path) -> None:
    declare(settings.kafka, settings.topics)
    check_topic(settings, write=True)
    first, second, third = shop("first"), shop("second"), shop("third")
    assert pushed(settings, first, 0) == 1
    with worker(environment(settings)) as process:
        send(settings, 0, 4_000)
        await_lag_zero(settings)
        assert pushed(settings, second, 1) == 2
        await_log(process, f"catalogue {second.digest()} is revision 2, by me: a test")
        # Whoever has not seen it writes in vain, and is told.
        with pytest.raises(ForestayError, match="revision 2 was pushed meanwhile"):
            pushed(settings, third, 1)
        send_records(settings, settings.topics.catalogue, [Outgoing(b"no catalogue", b"k", 0)])
        await_log(process, "is not worked with")
        send(settings, 4_000, 8_000)
        await_lag_zero(settings)
        told = metrics(process)
        assert f'forestay_catalogue_info{{version="{second.digest()}"}} 1.0' in told
        assert "forestay_catalogue_revision 2.0" in told
        assert "forestay_catalogue_refused_total 1.0" in told
        # Between a push and the batch that would have taken it.
        assert pushed(settings, third, 2) == 3
        process.kill()
    with worker(environment(settings)) as process:
        send(settings, 8_000, 12_000)
        await_lag_zero(settings)
        assert process.stop() == 0
    of = {one.digest(): one.offers[0].id for one in (first, second, third)}
    decisions = decided(settings)
    chosen = {(one["policy"]["version"], one["offer_id"]) for one in decisions if one["offer_id"]}  # type: ignore[index]
    assert chosen == set(of.items())
    assert {*versions(settings)} == of.keys()
    assert asyncio.run(read_history(settings)).current == third
    check_made_again(settings, tmp_path / "recording")


def test_without_a_revision_the_file_holds_until_the_first_is_pushed(settings: Settings, tmp_path: Path) -> None:
    declare(settings.kafka, settings.topics)
    with worker(environment(settings)) as process:
        await_log(process, "that of the file holds")
        send(settings, 0, 2_000)
        await_lag_zero(settings)
        assert pushed(settings, shop("first"), 0) == 1
        await_log(process, "is revision 1")
        send(settings, 2_000, 4_000)
        await_lag_zero(settings)
        assert process.stop() == 0
    assert len({*versions(settings)}) == 2
    check_made_again(settings, tmp_path / "recording")


def complain(settings: Settings, wanted: int) -> int:
    """Sends a complaint about the first so many actions, to where their users are; returns how many partitions."""
    reader = TopicReader(settings, settings.topics.actions)
    try:
        reader.await_count(wanted)
        records = reader.records[:wanted]
    finally:
        reader.close()
    told = []
    for record in records:
        action = json.loads(record.value)
        fields = {"action_id": action["action_id"], "user_id": action["user_id"], "ts": action["decided_at"]}
        value = json.dumps(fields | {"kind": "complained"}).encode()
        told.append(Outgoing(value, action["user_id"].encode(), record.partition, record.timestamp))
    send_records(settings, settings.topics.feedback, told)
    return len({record.partition for record in records})


def stopped(settings: Settings) -> int:
    """Returns how many decisions so far an offer was left out of because it was paused."""
    return sum(any(cut["code"] == "paused" for cut in one["suppressed"]) for one in decided(settings))  # type: ignore[attr-defined]


def test_complaints_stop_an_offer_through_a_crash_until_it_is_resumed(settings: Settings, tmp_path: Path) -> None:
    declare(settings.kafka, settings.topics)
    rule = {"feedback": ["complained"], "share": 0.5, "at_least": 3, "hours": 720}
    first = shop("mail").model_dump(by_alias=True) | {"switches": {"automatic": [rule]}}
    watched = Catalogue.model_validate(first)
    resumed = Catalogue.model_validate(first | {"switches": {"automatic": [rule], "lifted": 1}})
    pushed(settings, watched, 0)
    with worker(environment(settings)) as process:
        send(settings, 0, 4_000)
        await_lag_zero(settings)
        assert stopped(settings) == 0
        partitions = complain(settings, 40)
        await_log(process, "mail is paused in partition", partitions)
        assert 'forestay_automatic_pause{of="mail",partition=' in metrics(process)
        send(settings, 4_000, 6_000)
        await_lag_zero(settings)
        before = stopped(settings)
        assert before > 0
        process.kill()
    with worker(environment(settings)) as process:
        await_log(process, "mail is paused in partition", partitions)
        send(settings, 6_000, 8_000)
        await_lag_zero(settings)
        after = stopped(settings)
        assert after > before
        actions = sum(one["offer_id"] is not None for one in decided(settings))
        pushed(settings, resumed, 1)
        await_log(process, "is revision 2")
        send(settings, 8_000, 10_000)
        await_lag_zero(settings)
        assert process.stop() == 0
    assert stopped(settings) == after
    assert sum(one["offer_id"] is not None for one in decided(settings)) > actions
    run(settings, "record", tmp_path / "recording", *ROLES, "feedback", "catalogue")
    code, said = run(settings, "rerun", tmp_path / "recording", "--ledger", "--json")
    assert code == 0, said
