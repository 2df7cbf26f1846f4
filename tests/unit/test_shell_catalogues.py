"""A worker follows the catalogue's topic: what it tells at its start and later, what holds while it is blind."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self

import pytest
from support.builders import DIGEST, catalogue, offer

from forestay.catalogues.record import record_of
from forestay.configuration import Configuration
from forestay.core.decision.catalogue import Catalogue
from forestay.core.rules import Rules
from forestay.settings import KafkaSettings
from forestay.shell import catalogues as module
from forestay.shell.catalogues import Following
from forestay.shell.log_reading import RecoveryError

OF_FILE = catalogue(offer("of-file"))


class Topic:
    """What is on the topic, read as `read_to_ends` does; `fails` says why it cannot be."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.fails: str | None = None
        #: After how many records it fails.
        self.fails_after = 0
        self.looks: asyncio.Queue[None] = asyncio.Queue()

    def put(self, one: Catalogue, revision: int) -> None:
        moment = datetime(2026, 11, 23, tzinfo=UTC)
        self.values.append(
            record_of(one, revision=revision, pushed_at=moment, pushed_by="me", reason="because").value
        )

    async def read(self, _consumer: object, starts: dict[Any, int], _patience: float) -> AsyncIterator[Any]:
        self.looks.put_nowait(None)
        ((_, start),) = starts.items()
        left = [SimpleNamespace(offset=n, value=value) for n, value in enumerate(self.values)][start:]
        if self.fails is not None:
            yield 0, left[: self.fails_after]
            raise RecoveryError(self.fails)
        if left:
            yield 0, left


class Consumer:
    """One that is never asked."""

    async def __aenter__(self) -> Self:
        return self

    async def stop(self) -> None:
        pass


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()
    monkeypatch.setattr(module, "read_to_ends", made.read)
    monkeypatch.setattr(module, "log_consumer", lambda _kafka: Consumer())
    return made


def following() -> Following:
    return Following(KafkaSettings(), "forestay-catalogue", Configuration(Rules(), OF_FILE, DIGEST, ("all", "else")))


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_file_holds_until_there_is_a_revision(topic: Topic) -> None:
    async with following() as one:
        assert (one.current.catalogue, one.revision) == (OF_FILE, 0)
        first = catalogue(offer("first"))
        topic.put(first, 1)
        await one.catch_up()
        assert (one.current.catalogue, one.revision) == (first, 1)
        assert one.current.digest == one.current.under(first).digest != DIGEST
        before = one.current
        # Nothing new: nothing for a pipeline to take.
        await one.catch_up()
        assert one.current is before


async def test_what_is_refused_stays_out_and_is_told_loudly_once(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = catalogue(offer("first")), catalogue(offer("second"))
    topic.put(first, 1)
    async with following() as one:
        topic.values.append(b"nonsense")
        topic.put(second, 5)
        await one.catch_up()
        assert (one.current.catalogue, one.refused) == (first, 2)
        assert [line.partition(" ")[0] for line in errors(caplog)] == [f"forestay-catalogue@{n}" for n in (1, 2)]
        topic.put(second, 2)
        await one.catch_up()
        assert (one.current.catalogue, one.refused) == (second, 2)
    caplog.clear()
    # Who starts now is not told of what was followed by one that works; of what came after it, yes.
    async with following() as later:
        assert (later.current.catalogue, later.refused, errors(caplog)) == (second, 0, [])
        assert later.catalogue(first.digest()) == first
    topic.values.append(None)
    async with following() as later:
        assert (later.current.catalogue, later.refused, len(errors(caplog))) == (second, 1, 1)


async def test_while_the_topic_cannot_be_read_the_catalogue_stays(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = catalogue(offer("first")), catalogue(offer("second"))
    topic.put(first, 1)
    async with following() as one:
        topic.fails = "no broker"
        topic.looks = asyncio.Queue()
        looking = asyncio.create_task(one.follow(0.001))
        for _ in range(3):
            await topic.looks.get()
        assert (one.blind, one.current.catalogue) == (True, first)
        assert sum("cannot be followed" in record.getMessage() for record in caplog.records) == 1
        topic.put(second, 2)
        topic.fails = None
        topic.looks = asyncio.Queue()
        for _ in range(2):
            await topic.looks.get()
        assert (one.blind, one.current.catalogue) == (False, second)
        looking.cancel()
    # One that starts must know.
    topic.fails = "no broker"
    with pytest.raises(RecoveryError, match="no broker"):
        await following().__aenter__()


async def test_what_was_read_before_the_topic_failed_is_told_once_it_is_back(
    topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    async with following() as one:
        topic.values.append(b"nonsense")
        topic.fails, topic.fails_after = "no broker", 1
        with pytest.raises(RecoveryError, match="no broker"):
            await one.catch_up()
        topic.fails = None
        await one.catch_up()
        await one.catch_up()
        assert (one.refused, len(errors(caplog))) == (1, 1)


async def test_the_embedding_is_asked_for_as_long_as_a_batch_may_read_it(topic: Topic) -> None:
    reading = catalogue(offer("reading"), policy={"embedding": True})
    async with following() as one:
        assert not one.reads_embedding
        topic.put(reading, 1)
        await one.catch_up()
        assert one.reads_embedding
        # A batch of the one before may be about to be scored.
        topic.put(catalogue(offer("other")), 2)
        await one.catch_up()
        assert not one.current.catalogue.policy.reads_embedding
        assert one.reads_embedding
    async with following() as later:
        assert not later.reads_embedding
