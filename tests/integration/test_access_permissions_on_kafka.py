"""Permissions on a real Apache Kafka: each part does its work with exactly those the page lists, and misses each."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from support.account import Account
from support.scenarios import await_decisions
from support.secure_kafka import EVENT, PASSWORD, WORKER, SecureKafka
from support.workers import TopicReader, WorkerProcess, environment, worker
from typer.testing import CliRunner

from forestay.access import AccessError
from forestay.cli.adapting import adapter_of
from forestay.cli.main import app
from forestay.recording import RecordedMessage, RecordingMetadata, write_recording
from forestay.settings import (
    DEFAULT_CATALOGUE,
    TOPIC_ROLES,
    AdapterSettings,
    CatalogueSource,
    ClockSource,
    KafkaSettings,
    Settings,
    TopicSettings,
    TritonSettings,
    WorkerSettings,
)
from forestay.shell.adapter.agent import AdapterAgent, check_topics
from forestay.shell.permissions import Grant, Part, check_allowed, needed
from forestay.shell.topics import declare, describe

pytest_plugins = ("support.kafka_plugin", "support.secure_kafka_plugin")
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("clients_collected"),
    # kafka-python leaves a connection that is being made when a client is closed to the garbage collector.
    pytest.mark.filterwarnings("ignore:.*Socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*socket:pytest.PytestUnraisableExceptionWarning"),
]


def settings_for(kafka: KafkaSettings, name: str) -> Settings:
    """Settings whose topics and group are this test's own; nothing listens where Triton should be."""
    roles = (*TOPIC_ROLES, "catalogue")
    own = {role: f"{name}-{topic}" for role, topic in TopicSettings().model_dump().items() if role in roles}
    return Settings(
        kafka=kafka.model_copy(update={"group_id": name}),
        topics=TopicSettings(**own, partitions=1),
        triton=TritonSettings(url="127.0.0.1:9"),
        worker=WorkerSettings(clock=ClockSource.NONE, log_level="debug"),
    )


def declared(broker: SecureKafka, kafka: KafkaSettings, name: str) -> Settings:
    """The same, with topics that the administrator has made."""
    settings = settings_for(kafka, name)
    declare(KafkaSettings(bootstrap_servers=broker.bootstrap), settings.topics)
    return settings


def send(broker: SecureKafka, settings: Settings, number: int) -> None:
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        event = EVENT.replace("e1", f"e{number}").replace("u1", f"u{number}")
        producer.send(settings.topics.clickstream, event.encode(), key=f"u{number}".encode()).get(10)


def web_port(broker: SecureKafka) -> dict[str, str]:
    return {"FORESTAY_WEB__PORT": "0", "FORESTAY_WEB__TOKEN_FILE": str(broker.password_file)}


def check_web(process: WorkerProcess) -> None:
    """Asks the worker itself, over HTTP; Faust's own pages are not there."""
    line = next(line for line in process.log if "web port 127.0.0.1:" in line)
    port = int(line.partition("web port 127.0.0.1:")[2].partition(":")[0])
    assert ask(port, "/ready", None) == (401, {"error": "send the header Authorization: Bearer TOKEN"})
    status, ready = ask(port, "/ready", PASSWORD)
    assert (status, ready["ready"], ready["phase"], ready["partitions"]) == (200, True, "working", [0])
    assert ask(port, "/live", PASSWORD) == (200, {"live": True, "phase": "working"})
    for page in ("/", "/table", "/table/", "/tables", "/router", "/router/", "/stats", "/graph"):
        assert ask(port, page, PASSWORD)[0] == 404, page


def ask(port: int, page: str, token: str | None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", page, headers={} if token is None else {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


def as_admin(broker: SecureKafka, settings: Settings) -> Settings:
    return settings.model_copy(update={"kafka": KafkaSettings(bootstrap_servers=broker.bootstrap)})


@contextmanager
def renewed(file: Path, token: Callable[[], str]) -> Iterator[None]:
    """Puts a new token into `file` every second, at a stroke, as Kubernetes does."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(1.0):
            fresh = file.with_suffix(".new")
            fresh.write_text(token())
            fresh.rename(file)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_worker_runs_with_exactly_what_the_page_lists_while_its_tokens_expire(broker: SecureKafka) -> None:
    """The broker ends a connection after 3 s, or when its token expires: the next one reads the file again."""

    def token() -> str:
        return broker.tokens.token(WORKER, seconds=4)

    kafka = broker.scram(**broker.by_token(token()))
    settings = declared(broker, kafka, "exactly")
    broker.allow(*needed(Part.WORKER, settings))
    assert kafka.sasl_token_file is not None
    with renewed(kafka.sasl_token_file, token), worker(environment(settings) | web_port(broker)) as process:
        check_web(process)
        send(broker, settings, 1)
        await_decisions(as_admin(broker, settings), 1)
        # What is under test is that time goes by: every token there was so far expires in it.
        time.sleep(5)
        send(broker, settings, 2)
        await_decisions(as_admin(broker, settings), 2)
        last = kafka.sasl_token_file.read_text()
        assert process.stop() == 0
    assert len(Account(as_admin(broker, settings)).decisions) == 2
    assert last.partition(".")[0] not in "".join(process.log)


def test_each_permission_that_is_missing_is_named_with_the_command_that_gives_it(broker: SecureKafka) -> None:
    settings = declared(broker, broker.scram(), "missing")
    grants = needed(Part.WORKER, settings)
    broker.allow(*grants)
    # Who may only describe the group could ask for everything and never join.
    broker.allow(Grant("group", settings.kafka.group_id, "Describe"))
    for grant in grants:
        broker.forbid(grant)
        with pytest.raises(AccessError) as caught:
            check_allowed(settings.kafka, grants)
        said = str(caught.value)
        assert f"Kafka does not allow worker {grant.operation} on {grant.kind} {grant.name}. " in said
        assert f"--operation {grant.operation} --{grant.kind} {grant.name}" in said
        broker.allow(grant)
    check_allowed(settings.kafka, grants)


def test_the_doctor_names_what_is_missing_and_is_content_without_it(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = declared(broker, broker.scram(), "doctor")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)

    def look() -> dict[str, tuple[str, str]]:
        done = CliRunner().invoke(app, ["doctor", "--json"])
        return {check["name"]: (check["status"], check["detail"]) for check in json.loads(done.stdout)["checks"]}

    *grants, group = needed(Part.WORKER, settings)
    broker.allow(*grants)
    assert look()["permissions"][0] == "failed"
    assert "Read on group doctor" in look()["permissions"][1]
    broker.allow(group)
    assert [look()[name][0] for name in ("kafka", "permissions", "topics")] == ["ok"] * 3


def test_a_worker_without_one_of_them_ends_before_it_has_read_anything(broker: SecureKafka) -> None:
    settings = declared(broker, broker.scram(), "without")
    state = Grant("topic", settings.topics.state, "Write")
    broker.allow(*(grant for grant in needed(Part.WORKER, settings) if grant != state))
    process = WorkerProcess(environment(settings))
    assert process.ended_within(30) == 1
    assert f"Kafka does not allow worker Write on topic {settings.topics.state}" in "".join(process.log)


def test_a_permission_taken_back_ends_the_worker_with_a_word(broker: SecureKafka) -> None:
    settings = declared(broker, broker.scram(), "revoked")
    grants = needed(Part.WORKER, settings)
    broker.allow(*grants)
    process = WorkerProcess(environment(settings))
    process.await_ready()
    broker.forbid(next(grant for grant in grants if grant.name == settings.topics.clickstream))
    assert process.ended_within(30) == 1
    assert process.log[-1].startswith("forestay: Kafka no longer allows what the worker must do")


async def test_an_adapter_works_with_exactly_what_the_page_lists(broker: SecureKafka) -> None:
    settings = declared(broker, broker.scram(), "adapter")
    settings = settings.model_copy(update={"adapter": AdapterSettings(topic="segment-calls", profile="segment")})
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        admin.create_topics([NewTopic("segment-calls", 1, 1)])
    with pytest.raises(AccessError, match="Read on topic segment-calls"):
        check_topics(settings)
    broker.allow(*needed(Part.ADAPTER, settings))
    call = {"type": "page", "messageId": "m1", "anonymousId": "a1", "timestamp": "2026-01-01T00:00:00Z"}
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send("segment-calls", json.dumps(call).encode()).get(10)
    agent = AdapterAgent(settings, adapter_of(settings, None, None), check_topics(settings))
    stop = asyncio.Event()
    running = asyncio.create_task(agent.run(stop))
    reader = TopicReader(as_admin(broker, settings), settings.topics.clickstream)
    await asyncio.to_thread(reader.await_count, 1)
    reader.close()
    stop.set()
    await running
    assert (agent.mapped, agent.dead_letters) == (1, 0)


def test_who_records_needs_to_read_what_is_recorded_and_nothing_else(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = declared(broker, broker.scram(), "recorder")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    send(broker, settings, 1)
    roles = [role.replace("_", "-") for role in (*TOPIC_ROLES, "catalogue")]
    grants = needed(Part.RECORDER, settings)
    broker.allow(*grants)
    done = CliRunner().invoke(app, ["record", "all", *roles, "--json"])
    assert (done.exit_code, json.loads(done.stdout)["records"]) == (0, 1), done.output
    first, *others = grants
    broker.forbid(*others)
    assert first.name == settings.topics.clickstream
    assert CliRunner().invoke(app, ["record", "one"]).exit_code == 0
    broker.forbid(first)
    refused = CliRunner().invoke(app, ["record", "none"])
    assert refused.exit_code == 1
    assert f"--operation Read --topic {settings.topics.clickstream}" in refused.output
    assert not (tmp_path / "none").exists()


def test_who_replays_needs_to_write_and_to_create_what_is_to_be_made(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = declared(broker, broker.scram(), "replayer")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    own = TopicSettings()
    rows = [RecordedMessage(topic, 0, 0, 1, b"u1", EVENT.encode()) for topic in (own.clickstream, own.clock)]
    write_recording(tmp_path / "r.jsonl", rows, RecordingMetadata(description="two topics"))
    refused = CliRunner().invoke(app, ["replay", "r.jsonl"])
    assert refused.exit_code == 1
    assert f"--operation Write --topic {settings.topics.clickstream}" in refused.output
    broker.allow(*needed(Part.REPLAY, settings))
    done = CliRunner().invoke(app, ["replay", "r.jsonl", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["sent"]) == (0, 2), done.output
    made = ["replay", "r.jsonl", "--only", "clock", "--topic", "clock=replayer-made", "--create"]
    broker.allow(Grant("topic", "replayer-made", "Write"))
    refused = CliRunner().invoke(app, made)
    assert refused.exit_code == 1
    assert "the broker refuses to make topic replayer-made" in refused.output
    broker.allow(Grant("topic", "replayer-made", "Create"))
    assert CliRunner().invoke(app, made).exit_code == 0


def use(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)


def put_state(broker: SecureKafka, settings: Settings, user_id: bytes) -> None:
    with KafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        producer.send(settings.topics.state, b"no state at all", key=user_id).get(10)


def test_who_repairs_needs_what_the_page_lists(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = declared(broker, broker.scram(), "repairer")
    use(settings, monkeypatch)
    send(broker, settings, 1)
    put_state(broker, settings, b"u9")
    broker.allow(*needed(Part.REPAIR, settings))
    done = CliRunner().invoke(app, ["repair", "--write"])
    assert done.exit_code == 0, done.output
    broker.forbid(Grant("topic", settings.topics.state, "Write"))
    put_state(broker, settings, b"u8")
    # To look is still allowed.
    looked = CliRunner().invoke(app, ["repair", "--json"])
    assert [damage["repair"] is not None for damage in json.loads(looked.stdout)["damages"]] == [True]
    refused = CliRunner().invoke(app, ["repair", "--write"])
    assert refused.exit_code == 1
    assert "TopicAuthorizationFailed" in refused.output


def test_who_fills_state_needs_what_the_page_lists(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = declared(broker, broker.scram(), "filler")
    use(settings, monkeypatch)
    past = tmp_path / "past.jsonl"
    past.write_text(EVENT + "\n")
    broker.allow(*needed(Part.BACKFILL, settings))
    done = CliRunner().invoke(app, ["backfill", "--from", "past.jsonl", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["new"]) == (0, 1), done.output
    broker.forbid(Grant("topic", settings.topics.state, "Write"))
    past.write_text(EVENT.replace("u1", "u2") + "\n")
    refused = CliRunner().invoke(app, ["backfill", "--from", "past.jsonl"])
    assert refused.exit_code == 1
    assert "TopicAuthorizationFailed" in refused.output


def test_who_pushes_a_catalogue_needs_to_write_it_and_the_worker_to_read_it(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = declared(broker, broker.scram(), "pushes")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "offers.yaml").write_text(DEFAULT_CATALOGUE.read_text())
    read, write = needed(Part.CATALOGUE, settings)
    push = ["catalogue", "push", "offers.yaml", "--reason", "first", "--yes"]
    broker.allow(read)
    assert CliRunner().invoke(app, ["catalogue", "history"]).exit_code == 0
    refused = CliRunner().invoke(app, push)
    assert refused.exit_code == 1
    assert f"--operation Write --topic {settings.topics.catalogue}" in refused.output
    broker.allow(write)
    assert CliRunner().invoke(app, push).exit_code == 0
    broker.forbid(read, write)
    # A worker that follows must read it, and need not write it.
    follows = WorkerSettings(clock=ClockSource.NONE, catalogue_source=CatalogueSource.TOPIC, log_level="debug")
    settings = settings.model_copy(update={"worker": follows})
    grants = needed(Part.WORKER, settings)
    assert [grant.operation for grant in grants if grant.name == settings.topics.catalogue] == ["Read"]
    broker.allow(*grants)
    with worker(environment(settings)) as process:
        assert any("is revision 1" in line for line in process.log)
        assert process.stop() == 0


def test_what_topics_describe_needs_is_enough_for_it(broker: SecureKafka) -> None:
    settings = declared(broker, broker.scram(), "describe")
    broker.allow(*needed(Part.DESCRIBE, settings))
    assert [topic.partitions for topic in describe(settings.kafka, settings.topics)] == [1] * (len(TOPIC_ROLES) + 1)


def test_what_topics_declare_needs_is_enough_for_it(broker: SecureKafka) -> None:
    settings = settings_for(broker.scram(), "declare")
    broker.allow(*needed(Part.DECLARE, settings))
    assert len(declare(settings.kafka, settings.topics).created) == len(TOPIC_ROLES) + 1


@pytest.mark.parametrize(
    ("part", "command"),
    [(Part.SEND, ["send", "-"]), (Part.TAIL, ["tail", "decisions", "--no-follow"])],
    ids=["send", "tail"],
)
def test_what_a_command_needs_is_enough_and_less_is_told(
    broker: SecureKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: Part, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = declared(broker, broker.scram(), f"part-{part}")
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    refused = CliRunner().invoke(app, command, input=EVENT)
    assert refused.exit_code == 1, refused.output
    assert "Kafka does not allow worker" in refused.output
    broker.allow(*needed(part, settings))
    assert CliRunner().invoke(app, command, input=EVENT).exit_code == 0
