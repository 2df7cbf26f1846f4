"""Ids under which Kafka takes records, and takes none from whoever had the id before (docs/decisions/0016).

A transactional id stands for one producer id with an epoch, which the transaction coordinator raises each time
somebody asks for it. The log of a partition refuses a batch of an epoch lower than the highest it has seen of its
producer id. It sees one with a batch, or with the mark that ends a transaction: so an empty transaction over the
partitions, opened with the new epoch and ended, closes all their logs to whoever writes with an older one. Nothing
else here is a transaction: the batches written under these ids are not transactional, and are readable at once.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    ConcurrentTransactions,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    ProducerFenced,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest

from forestay.access import AccessError
from forestay.core.errors import ForestayError
from forestay.settings import KafkaSettings
from forestay.shell.kafka_clients import connection_options

#: How long the coordinator waits for the end of an empty transaction (milliseconds). It outlasts a coordinator's
#: move: whose transaction ends by this is shut out like a former owner.
_TRANSACTION_MS: Final = 300_000
#: Seconds between two tries: while the mark of the transaction before is written, and after any other trouble.
_SOON, _LATER = 0.01, 0.1
#: Above this epoch the coordinator gives a new producer id instead of a higher epoch, and what was written under the
#: old one could not be shut out: nobody writes with a higher one than this, which leaves some to claims cut short.
_LAST_EPOCH: Final = 2**15 - 16
#: The code of a newer Kafka for `InvalidProducerEpoch`, which aiokafka does not know.
_PRODUCER_FENCED: Final = 90


class FenceError(ForestayError):
    """Former owners cannot be shut out now; nothing has been lost."""


class FencedError(ForestayError):
    """Another worker has taken over what was ours; nothing this one writes there is accepted any more."""

    def __init__(self, what: str) -> None:
        """`what` has been taken over."""
        super().__init__(
            f"another worker has taken over {what}, and Kafka accepts nothing of it from this one any more, which had"
            " not been heard of for kafka.session_timeout_seconds: was it, its machine or its network stopped?"
            " Nothing is lost; started again it joins the others"
        )


class Writer(NamedTuple):
    """Under what a producer's batches are written."""

    producer_id: int
    epoch: int


class ProducerIds:
    """Claims transactional ids, and keeps them."""

    def __init__(self, kafka: KafkaSettings) -> None:
        """A claim must be done within twice `kafka.request_timeout_seconds`: brokers wait for each other too."""
        self._kafka = kafka
        self._deadline = 2 * kafka.request_timeout_seconds
        self._client: Any = None

    async def __aenter__(self) -> Self:
        """Connects."""
        self._client = AIOKafkaClient(**connection_options(self._kafka), client_id="forestay-fence")
        await self._client.bootstrap()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnects."""
        await self._client.close()

    async def claim(self, name: str, partitions: Iterable[TopicPartition]) -> Writer:
        """Returns a fresh id for transactional id `name`; from then on `partitions` refuse those given out before.

        Whatever had been accepted of the former owners lies in the logs when this returns.

        Raises:
            FencedError: somebody else claimed it at the same time.
            FenceError: not within the deadline.
            AccessError: Kafka does not allow it.
        """
        async with _Attempt(name, self._deadline) as attempt:
            marked = await self._fresh(attempt, name)
            while True:
                await self._mark(attempt, name, marked, partitions)
                # Answered when the marks lie in all logs.
                writer = await self._fresh(attempt, name)
                # No epoch may lie between the two: who was given it meanwhile would not be shut out by our mark.
                if writer == Writer(marked.producer_id, marked.epoch + 1) and writer.epoch <= _LAST_EPOCH:
                    return writer
                marked = writer

    async def renew(self, name: str, writer: Writer, partitions: Iterable[TopicPartition]) -> None:
        """Reminds Kafka of an id in use: it forgets those of which it has heard nothing for long.

        Raises:
            FencedError: somebody else has claimed it.
            FenceError: not within the deadline.
            AccessError: Kafka does not allow it any more.
        """
        async with _Attempt(name, self._deadline) as attempt:
            await self._mark(attempt, name, writer, partitions)

    async def _fresh(self, attempt: "_Attempt", name: str) -> Writer:
        answer = await self._ask(attempt, name, InitProducerIdRequest(name, _TRANSACTION_MS))
        return Writer(answer.producer_id, answer.producer_epoch)

    async def _mark(
        self, attempt: "_Attempt", name: str, writer: Writer, partitions: Iterable[TopicPartition]
    ) -> None:
        """Runs an empty transaction: its end is marked in each partition, with the writer's epoch."""
        topics: dict[str, list[int]] = defaultdict(list)
        for tp in partitions:
            topics[tp.topic].append(tp.partition)
        await self._ask(attempt, name, AddPartitionsToTxnRequest(name, *writer, list(topics.items())))
        await self._ask(attempt, name, EndTxnRequest(name, *writer, True))

    async def _ask(self, attempt: "_Attempt", name: str, request: Any) -> Any:
        """Sends a request to the coordinator of `name` until it is done."""
        while True:
            try:
                node = await self._client.coordinator_lookup(CoordinationType.TRANSACTION, name)
                await self._client.ready(node, group=ConnectionGroup.COORDINATION)
                answer = await self._client.send(node, request, group=ConnectionGroup.COORDINATION)
                for code in _codes(answer):
                    _check(code)
            except ConcurrentTransactions as error:
                await attempt.again_after(_SOON, error)
            except KafkaError as error:
                if not error.retriable:
                    raise
                self._client.force_metadata_update()
                await attempt.again_after(_LATER, error)
            else:
                return answer


def _codes(answer: Any) -> Iterable[int]:
    if hasattr(answer, "error_code"):
        return [answer.error_code]
    return [code for _, partitions in answer.errors for _, code in partitions]


def _check(code: int) -> None:
    if code == _PRODUCER_FENCED:
        raise ProducerFenced
    if code:
        raise for_code(code)


class _Attempt:
    """Tries within a deadline, and what is said when they come to nothing."""

    def __init__(self, name: str, deadline: float) -> None:
        self._name = name
        self._deadline = deadline
        self._end = time.monotonic() + deadline

    async def __aenter__(self) -> Self:
        return self

    async def again_after(self, seconds: float, error: KafkaError) -> None:
        """Returns when it is time for the next try.

        Raises:
            FenceError: there is no time left; says what to look at.
        """
        if time.monotonic() + seconds > self._end:
            raise FenceError(
                f"Kafka's transaction coordinator gives no id for {self._name} within {self._deadline:g} s"
                f" ({type(error).__name__}): are there as many brokers as transaction.state.log.replication.factor"
                " asks for? Where the broker has no transactions, set kafka.fencing to false"
            ) from error
        await asyncio.sleep(seconds)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says in our words what Kafka said in its own."""
        if isinstance(error, InvalidProducerEpoch | ProducerFenced | InvalidProducerIdMapping):
            raise FencedError(self._name) from error
        if isinstance(
            error,
            TransactionalIdAuthorizationFailed | TopicAuthorizationFailedError | ClusterAuthorizationFailedError,
        ):
            raise AccessError(
                f"Kafka does not allow writing under the transactional id {self._name} ({type(error).__name__}):"
                " `forestay topics permissions worker` prints what must be given, `forestay doctor` what is missing"
            ) from error
        if isinstance(error, IncompatibleBrokerVersion):
            raise FenceError("this broker has no transactions: set kafka.fencing to false") from error
        if isinstance(error, KafkaError):
            raise FenceError(f"Kafka gives no id for {self._name}: {type(error).__name__}: {error}") from error
