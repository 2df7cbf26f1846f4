"""Claims of producer ids against a coordinator made here: its refusals, its delays, and epochs that run out."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IncompatibleBrokerVersion, NodeNotReadyError
from aiokafka.protocol.transaction import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse_v0,
    EndTxnRequest,
    EndTxnResponse_v0,
    InitProducerIdRequest,
    InitProducerIdResponse_v0,
)

from forestay.access import AccessError
from forestay.settings import KafkaSettings
from forestay.shell.producer_ids import FencedError, FenceError, ProducerIds, Writer

LOGS = [TopicPartition("decisions", 3), TopicPartition("state", 3)]
#: Above it Kafka gives a new id: `Short.MaxValue - 1`.
LAST_OF_KAFKA = 32_766
COORDINATOR_LOADING, NOT_COORDINATOR, FENCED_OLD, FENCED_NEW = 14, 16, 47, 90
CONCURRENT, ID_REFUSED, TOPIC_REFUSED, NO_MAPPING, BAD_TIMEOUT = 51, 53, 29, 49, 50


class Coordinator:
    """A transaction coordinator: the next epoch at each question, a new id when they have run out.

    `refusals` are the codes of its next answers. `marked` is what the ended transactions covered.
    """

    def __init__(self, refusals: Sequence[int] = (), epoch: int = -1) -> None:
        self.refusals = deque(refusals)
        self.writer = Writer(7, epoch)
        self.marked: list[tuple[Writer, Any]] = []
        self.asked: list[str] = []
        #: So many claims of others are answered right after an end of ours.
        self.claims_between = 0
        self._open: Any = None

    async def coordinator_lookup(self, _kind: object, name: str) -> int:
        assert name == "forestay-partition-3"
        return 1

    async def ready(self, node: int, *, group: object) -> bool:
        del group
        return node == 1

    def force_metadata_update(self) -> None:
        """Brokers stay the same."""

    async def send(self, node: int, request: Any, *, group: object) -> Any:
        del node, group
        self.asked.append(type(request).__name__)
        code = self.refusals.popleft() if self.refusals else 0
        if isinstance(request, InitProducerIdRequest):
            if not code:
                identifier, epoch = self.writer
                self.writer = Writer(identifier + 1, 0) if epoch >= LAST_OF_KAFKA else Writer(identifier, epoch + 1)
            return InitProducerIdResponse_v0(0, code, *self.writer)
        if isinstance(request, AddPartitionsToTxnRequest):
            self._open = request._topics
            return AddPartitionsToTxnResponse_v0(0, [(topic, [(3, code)]) for topic, _ in request._topics])
        assert isinstance(request, EndTxnRequest)
        if not code:
            self.marked.append((Writer(request._producer_id, request._producer_epoch), self._open))
            if self.claims_between:
                self.claims_between -= 1
                self.writer = self.writer._replace(epoch=self.writer.epoch + 1)
        return EndTxnResponse_v0(0, code)


def ids_of(coordinator: Any, deadline: float = 10.0) -> ProducerIds:
    ids = ProducerIds(KafkaSettings.model_construct(request_timeout_seconds=deadline / 2))
    ids._client = coordinator
    return ids


async def claim(coordinator: Any, deadline: float = 10.0) -> Writer:
    return await ids_of(coordinator, deadline).claim("forestay-partition-3", LOGS)


async def test_all_logs_are_marked_with_an_epoch_above_the_former_owners_and_below_the_new() -> None:
    coordinator = Coordinator(epoch=5)
    writer = await claim(coordinator)
    assert coordinator.marked == [(Writer(7, 6), [("decisions", [3]), ("state", [3])])]
    assert writer == (7, 7)


async def test_whatever_passes_is_tried_again() -> None:
    coordinator = Coordinator([COORDINATOR_LOADING, NOT_COORDINATOR, 0, CONCURRENT, 0, 0, CONCURRENT])
    assert await claim(coordinator) == (7, 1)
    assert len(coordinator.marked) == 1
    assert len(coordinator.asked) == 8


async def test_who_claims_between_the_mark_and_the_answer_is_shut_out_too() -> None:
    """Its epoch is above the mark: it could write on until we write to the same log."""
    coordinator = Coordinator(epoch=5)
    coordinator.claims_between = 2
    writer = await claim(coordinator)
    assert [mark for mark, _ in coordinator.marked] == [(7, 6), (7, 8), (7, 10)]
    assert writer == (7, 11)


@pytest.mark.parametrize("epoch", range(LAST_OF_KAFKA - 5, LAST_OF_KAFKA + 1))
async def test_nobody_writes_with_an_epoch_that_no_mark_can_shut_out(epoch: int) -> None:
    coordinator = Coordinator(epoch=epoch)
    former = await claim(coordinator)
    for _ in range(3):
        coordinator.marked.clear()
        writer = await claim(coordinator)
        epochs = [mark.epoch for mark, _ in coordinator.marked if mark.producer_id == former.producer_id]
        assert former.epoch < max(epochs)
        former = writer


@pytest.mark.parametrize("code", [FENCED_OLD, FENCED_NEW, NO_MAPPING])
@pytest.mark.parametrize("before", [1, 2], ids=["opening", "ending"])
async def test_who_is_overtaken_in_a_claim_is_told_so(code: int, before: int) -> None:
    with pytest.raises(FencedError, match="another worker has taken over forestay-partition-3"):
        await claim(Coordinator([0] * before + [code]))


async def test_an_id_in_use_is_renewed_by_a_mark_of_its_own_epoch_and_a_lost_one_is_told() -> None:
    coordinator = Coordinator()
    ids = ids_of(coordinator)
    writer = await ids.claim("forestay-partition-3", LOGS)
    await ids.renew("forestay-partition-3", writer, LOGS)
    assert coordinator.marked[-1][0] == writer
    coordinator.refusals.append(FENCED_OLD)
    with pytest.raises(FencedError):
        await ids.renew("forestay-partition-3", writer, LOGS)


@pytest.mark.parametrize("refusals", [[ID_REFUSED], [0, TOPIC_REFUSED], [0, 0, ID_REFUSED]])
async def test_a_permission_that_is_missing_is_told_with_where_to_look(refusals: list[int]) -> None:
    with pytest.raises(AccessError, match=r"forestay-partition-3 .*`forestay topics permissions worker`"):
        await claim(Coordinator(refusals))


async def test_a_coordinator_that_never_comes_is_told_with_what_is_wrong_with_small_clusters() -> None:
    with pytest.raises(FenceError, match=r"within 0\.05 s .*transaction\.state\.log\.replication\.factor"):
        await claim(Coordinator([COORDINATOR_LOADING] * 100), deadline=0.05)


class Unreachable(Coordinator):
    """A broker that goes away, or that knows no transactions."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def send(self, node: int, request: Any, *, group: object) -> Any:
        del node, request, group
        raise self.error


async def test_a_broker_that_is_gone_is_tried_again_and_one_without_transactions_is_not() -> None:
    with pytest.raises(FenceError, match="NodeNotReadyError"):
        await claim(Unreachable(NodeNotReadyError()), deadline=0.05)
    with pytest.raises(FenceError, match=r"no transactions: set kafka\.fencing to false"):
        await claim(Unreachable(IncompatibleBrokerVersion()))
    with pytest.raises(FenceError, match="InvalidTransactionTimeout"):
        await claim(Coordinator([BAD_TIMEOUT]))
