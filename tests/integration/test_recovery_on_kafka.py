"""What brokers and their keepers do to topics, on a real Apache Kafka: each is told, nothing is silently wrong."""

import zlib

import pytest
from aiokafka import TopicPartition
from support.durable import PARTITION, Durable
from support.kafka import KafkaServer
from support.own_topics import own_topics
from support.workers import WorkerProcess, environment

from forestay.core.errors import ConfigurationError, StateError
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.state.seal import sealed
from forestay.core.state.state_codec import MARK_KEY
from forestay.settings import (
    ClockSource,
    KafkaSettings,
    Settings,
    TritonSettings,
    WorkerSettings,
)
from forestay.shell.producer_ids import ProducerIds
from forestay.shell.recovery.checks import Kind
from forestay.shell.recovery.keeping import Ends, as_left
from forestay.shell.recovery.recover import recover
from forestay.shell.recovery.repair import Repairer

pytest_plugins = ("support.kafka_plugin",)
pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture
def durable(kafka_server: KafkaServer, request: pytest.FixtureRequest) -> Durable:
    name = f"recovery-{zlib.crc32(request.node.name.encode()):08x}"
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka_server.bootstrap, group_id=name),
        topics=own_topics(name, partitions=2),
        triton=TritonSettings(url="127.0.0.1:9"),
        worker=WorkerSettings(clock=ClockSource.NONE),
    )
    return Durable(settings)


def repairer(durable: Durable, *, same_offsets: bool = False) -> Repairer:
    return Repairer(durable.settings, Rules(), durable.topics.partitions, same_offsets=same_offsets)


async def refused(durable: Durable) -> str:
    with pytest.raises(StateError, match="forestay repair") as caught:
        await durable.recovered()
    return str(caught.value)


async def kinds(durable: Durable) -> list[Kind]:
    return [damage.kind for damage in await repairer(durable).examine()]


async def test_a_whole_state_is_restored_and_goes_on(durable: Durable) -> None:
    await durable.work()
    found = await durable.recovered()
    assert found.mark.users == len(found.users) == 4
    assert found.mark.positions[durable.topics.clickstream] == 12
    await durable.work()
    assert await kinds(durable) == []
    assert (await durable.recovered()).mark.positions[durable.topics.clickstream] == 24


async def test_offsets_committed_by_hand_and_a_lost_group_change_nothing(
    durable: Durable, caplog: pytest.LogCaptureFixture
) -> None:
    await durable.work()
    before = await durable.recovered()
    durable.commit(3)
    assert await durable.recovered() == before
    durable.commit(12_000)
    assert await durable.recovered() == before
    assert "the group has committed 12000, but the state has come to 12" in caplog.text
    durable.delete_group()
    assert await durable.recovered() == before


async def test_a_clickstream_made_again_is_not_read_from_the_middle(durable: Durable) -> None:
    await durable.work()
    durable.make_again(durable.topics.clickstream)
    durable.write(durable.topics.clickstream, *[OutputRecord(b"u1", b"{}")] * 20)
    assert "made again" in await refused(durable)
    assert await kinds(durable) == [Kind.TOPIC_ANEW]
    await repairer(durable).repair()
    found = await durable.recovered()
    assert found.mark.positions[durable.topics.clickstream] == 0
    assert len(found.users) == 4


async def test_after_the_repair_events_of_the_new_clickstream_count(durable: Durable) -> None:
    await durable.work(events=8)
    durable.make_again(durable.topics.clickstream)
    await repairer(durable).repair()
    await durable.work(users=8, events=8)
    assert len((await durable.recovered()).users) == 8


async def test_a_clickstream_copied_with_its_offsets_is_read_on(durable: Durable) -> None:
    await durable.work()
    copied = durable.read(durable.topics.clickstream)
    durable.make_again(durable.topics.clickstream)
    durable.write(durable.topics.clickstream, *(OutputRecord(record.key, record.value) for record in copied))
    await repairer(durable, same_offsets=True).repair()
    assert (await durable.recovered()).mark.positions[durable.topics.clickstream] == 12


async def test_events_deleted_unread_are_told_and_reading_goes_on(
    durable: Durable, caplog: pytest.LogCaptureFixture
) -> None:
    await durable.work()
    durable.write(durable.topics.clickstream, *[OutputRecord(b"u1", b"{}")] * 5)
    durable.delete_until(durable.topics.clickstream, 15)
    assert (await durable.recovered()).mark.positions[durable.topics.clickstream] == 12
    assert "offsets 12 to 14 were deleted before they were read" in caplog.text


async def test_a_clock_made_again_is_followed(durable: Durable) -> None:
    await durable.work()
    durable.make_again(durable.topics.clock)
    assert (await durable.recovered()).mark.positions.get(durable.topics.clock, 0) == 0


async def test_decisions_made_again_are_not_taken_for_those_of_the_state(durable: Durable) -> None:
    await durable.work()
    assert (await durable.recovered()).mark.decisions > 0
    durable.make_again(durable.topics.decisions)
    assert durable.topics.decisions in await refused(durable)
    await repairer(durable).repair()
    assert (await durable.recovered()).mark.decisions == 0


async def test_a_changelog_made_again_is_not_taken_for_a_new_shop(durable: Durable) -> None:
    await durable.work()
    durable.make_again(durable.topics.state)
    assert "has committed offset 12" in await refused(durable)
    await repairer(durable).repair()
    found = await durable.recovered()
    assert (found.users, found.mark.positions[durable.topics.clickstream]) == ({}, 0)
    assert found.made


async def test_a_changelog_made_again_is_told_by_the_decisions_where_the_group_is_lost_too(durable: Durable) -> None:
    await durable.work()
    durable.delete_group()
    durable.make_again(durable.topics.state)
    assert "decisions were made" in await refused(durable)


async def test_a_changelog_whose_head_was_deleted_misses_users(durable: Durable) -> None:
    await durable.work(users=6, events=6)
    end = len(durable.read(durable.topics.state))
    await durable.work(users=2, events=4)
    durable.delete_until(durable.topics.state, end)
    said = await refused(durable)
    assert "the mark tells of 6 users, 2 are there" in said
    assert f"begins at offset {end}" in said
    await repairer(durable).repair()
    assert sorted((await durable.recovered()).users) == ["u0", "u1"]


async def test_a_changelog_deleted_to_its_end_is_not_taken_for_a_new_shop(durable: Durable) -> None:
    await durable.work()
    durable.delete_until(durable.topics.state, len(durable.read(durable.topics.state)))
    assert "no mark" in await refused(durable)


async def test_what_cannot_be_read_is_copied_to_the_dead_letters_and_neighbours_are_unharmed(
    durable: Durable,
) -> None:
    await durable.work()
    before = await durable.recovered()
    durable.write(
        durable.topics.state,
        OutputRecord(b"u1", sealed(b"u2", before.users["u2"])),
        OutputRecord(b"u2", sealed(b"u2", before.users["u2"])[:-1] + b"\xff"),
        OutputRecord(b"u3", b"\x07" + before.users["u3"]),
    )
    durable.write(durable.topics.decisions, OutputRecord(b"u1", b"no decision"))
    said = await refused(durable)
    for user in ("u1", "u2", "u3"):
        assert f"the record of user '{user}' cannot be believed" in said
    assert "this decision cannot be read" in said
    await repairer(durable).repair()
    after = await durable.recovered()
    assert after.users == {"u0": before.users["u0"]}
    letters = durable.read(durable.topics.dead_letters)
    assert sorted(dict(letter.headers)["forestay-error"] for letter in letters) == [
        *[b"damaged_state"] * 3,
        b"unreadable_decision",
    ]
    await durable.work()
    assert len((await durable.recovered()).users) == 4


async def test_a_damaged_mark_stops_and_can_be_begun_anew(durable: Durable) -> None:
    await durable.work()
    (mark,) = [record for record in durable.read(durable.topics.state) if record.key == MARK_KEY][-1:]
    durable.write(durable.topics.state, OutputRecord(MARK_KEY, mark.value[:-1] + b"\x00"))
    assert "the mark cannot be believed" in await refused(durable)
    await repairer(durable).repair()
    found = await durable.recovered()
    assert (len(found.users), found.mark.positions[durable.topics.clickstream]) == (4, 0)


async def test_a_clickstream_with_more_partitions_is_refused(durable: Durable) -> None:
    await durable.work()
    durable.grow(4, durable.topics.clickstream)
    with pytest.raises(ConfigurationError, match="More partitions"):
        await durable.recovered()


async def test_more_partitions_of_all_topics_are_refused_by_old_and_new_partitions(durable: Durable) -> None:
    await durable.work()
    durable.grow(4, *durable.topics.names)
    for partition in (PARTITION, 3):
        with pytest.raises(StateError, match="had 2 partitions, now they have 4"):
            await recover(durable.settings.kafka, durable.topics, [partition])
    with pytest.raises(ConfigurationError, match="Nothing was written"):
        await Repairer(durable.settings, Rules(), 4, same_offsets=False).repair()


@pytest.mark.parametrize("changed", ["state", "decisions", "ledger"])
async def test_a_partition_given_back_is_read_again_only_if_somebody_wrote(durable: Durable, changed: str) -> None:
    await durable.work()
    kafka = durable.settings.kafka
    ends = (await durable.recovered()).ends
    # As if the last record of each log were our mark.
    kept: dict[int, Ends] = {PARTITION: {topic: end - 1 for topic, end in ends.items()}}
    assert await as_left(kafka, kept) == {PARTITION: ends}
    assert await as_left(kafka.model_copy(update={"fencing": False}), kept) == {}
    topic = getattr(durable.topics, changed)
    durable.write(topic, OutputRecord(b"u1", None))
    assert await as_left(kafka, kept) == {}


async def test_where_the_broker_does_not_tell_all_partitions_are_read_again() -> None:
    nobody = KafkaSettings(bootstrap_servers="127.0.0.1:1", request_timeout_seconds=1)
    assert await as_left(nobody, {PARTITION: {"state": 1}}) == {}


async def test_a_partition_given_back_is_known_by_our_own_mark_alone(durable: Durable) -> None:
    await durable.work()
    kafka = durable.settings.kafka
    logs = [TopicPartition(topic, PARTITION) for topic in durable.topics.names]
    kept: dict[int, Ends] = {PARTITION: (await durable.recovered()).ends}
    async with ProducerIds(kafka) as ids:
        for _ in range(2):
            await ids.claim("ours", logs)
            kept = await as_left(kafka, kept)
            assert kept.keys() == {PARTITION}
        await ids.claim("another's", logs)
        await ids.claim("ours", logs)
        assert await as_left(kafka, kept) == {}


async def test_a_worker_ends_with_what_is_wrong_and_what_to_do(durable: Durable) -> None:
    await durable.work()
    durable.make_again(durable.topics.state)
    process = WorkerProcess(environment(durable.settings))
    assert process.ended_within(60) == 1
    assert "`forestay repair` says what can be done" in "".join(process.log)
    assert "worker ready" not in "".join(process.log)
