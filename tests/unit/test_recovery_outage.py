"""Brokers that go while durable state is read: told in words, whichever client met it."""

import asyncio
from types import TracebackType
from typing import Any, Self

import kafka.errors
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError

from forestay.access import AccessError
from forestay.settings import KafkaSettings, TopicSettings
from forestay.shell.log_reading import RecoveryError, log_consumer
from forestay.shell.recovery import findings, written_actions
from forestay.shell.recovery.recover import recover


class Gone:
    """A consumer that meets an error, at its start or when it asks for the first offset."""

    def __init__(self, at_start: Exception | None = None, later: Exception | None = None) -> None:
        self._at_start, self._later = at_start, later
        self.closed = False

    async def __aenter__(self) -> Self:
        if self._at_start is not None:
            raise self._at_start
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True

    def assign(self, _: object) -> None:
        pass

    async def beginning_offsets(self, _: object) -> dict[Any, int]:
        assert self._later is not None
        raise self._later


NO_CONNECTION = KafkaConnectionError("Unable to bootstrap")
TOO_LATE = KafkaTimeoutError("Failed to get offsets by times in 30000 ms")


@pytest.mark.parametrize("consumer", [Gone(NO_CONNECTION), Gone(later=TOO_LATE)], ids=["at-start", "while-reading"])
async def test_a_consumer_that_loses_its_brokers(monkeypatch: pytest.MonkeyPatch, consumer: Gone) -> None:
    monkeypatch.setattr(findings, "log_consumer", lambda _: consumer)
    monkeypatch.setattr(findings, "read_logs", lambda *_: None)
    with pytest.raises(RecoveryError, match=r"cannot be read now \(Kafka.*Nothing is lost"):
        await recover(KafkaSettings(), TopicSettings(), [0])


async def test_a_topic_that_may_not_be_read_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Gone(later=TopicAuthorizationFailedError({"retention-decisions"}))
    monkeypatch.setattr(findings, "log_consumer", lambda _: refused)
    monkeypatch.setattr(findings, "read_logs", lambda *_: None)
    with pytest.raises(
        AccessError, match=r"does not allow this user.*TopicAuthorizationFailedError: .*retention-decisions"
    ):
        await recover(KafkaSettings(), TopicSettings(), [0])


async def test_a_reading_that_is_broken_off_at_its_start_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handover cancels what is being read, at times while a broker that stands still is first asked."""
    asked = asyncio.Event()

    async def bootstrap() -> None:
        asked.set()
        await asyncio.Event().wait()

    consumer = log_consumer(KafkaSettings())
    monkeypatch.setattr(consumer._client, "bootstrap", bootstrap)
    starting = asyncio.create_task(consumer.__aenter__())
    await asked.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert consumer._closed


async def test_an_administrator_that_finds_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise kafka.errors.KafkaConnectionError("111 ECONNREFUSED")

    monkeypatch.setattr(findings, "log_consumer", lambda _: Gone(later=TOO_LATE))
    monkeypatch.setattr(findings, "read_logs", refused)
    with pytest.raises(RecoveryError, match="cannot be read now"):
        await recover(KafkaSettings(), TopicSettings(), [0])


async def test_actions_that_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Gone(later=TOO_LATE)
    monkeypatch.setattr(written_actions, "log_consumer", lambda _: consumer)
    with pytest.raises(RecoveryError, match="KafkaTimeoutError"):
        await written_actions.written_actions(KafkaSettings(), TopicSettings(), {0: 7})
    assert consumer.closed
