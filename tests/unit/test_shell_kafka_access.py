"""What a broker is asked before a client is made, while coordinators move."""

from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    NodeNotReadyError,
    NotCoordinatorForGroupError,
    RequestTimedOutError,
)
from aiokafka.protocol.group import HeartbeatResponse_v1

from forestay.settings import KafkaSettings
from forestay.shell import kafka_access as module
from forestay.shell.kafka_access import may_join

UNKNOWN_MEMBER, NOT_ALLOWED = 25, 30


class Client:
    """A client whose coordinator gives `answers` in turn, each an error code or an error on the way to it."""

    def __init__(self, answers: list[int | KafkaError]) -> None:
        self.answers = answers
        self.refreshed = 0
        self.closed = False

    async def bootstrap(self) -> None:
        pass

    async def coordinator_lookup(self, *_: object) -> int:
        return 1

    async def force_metadata_update(self) -> None:
        self.refreshed += 1

    async def send(self, *_: object, **__: object) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, KafkaError):
            raise answer
        return HeartbeatResponse_v1(0, answer)

    async def close(self) -> None:
        self.closed = True


def joins(client: Client, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(module, "AIOKafkaClient", lambda **_: client)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.0)
    return may_join(KafkaSettings(), "forestay")


def test_a_coordinator_that_goes_down_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is often started while brokers go: one that fails here would not be started again by itself."""
    client = Client([NodeNotReadyError(), RequestTimedOutError(), NotCoordinatorForGroupError(), UNKNOWN_MEMBER])
    assert joins(client, monkeypatch)
    assert (client.refreshed, client.closed) == (3, True)


@pytest.mark.parametrize("answer", [NOT_ALLOWED, GroupAuthorizationFailedError("forestay")])
def test_who_may_not_join_is_told_so_at_once(monkeypatch: pytest.MonkeyPatch, answer: int | KafkaError) -> None:
    client = Client([answer])
    assert not joins(client, monkeypatch)
    assert client.closed


def test_a_coordinator_that_never_comes_is_told_in_kafkas_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COORDINATOR_SECONDS", 0.0)
    with pytest.raises(NodeNotReadyError):
        joins(Client([NodeNotReadyError()] * 3), monkeypatch)
