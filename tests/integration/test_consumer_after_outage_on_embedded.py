"""A consumer whose broker is gone is stopped, and whoever stops it is not told that it was cancelled itself."""

import asyncio
import logging
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from support.embedded import embedded_kafka

from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import Settings
from forestay.shell.kafka_clients import connection_options
from forestay.shell.record_batches import RecordConsumer
from forestay.shell.stoppable import StoppableConsumer
from forestay.shell.topics import declare

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(60)]

#: How long a fetch waits after a failure (milliseconds): the consumer is stopped in this time.
BACKOFF = 60_000


class Failed(logging.Handler):
    """Tells when a fetch has failed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "Failed fetch" in record.msg:
            self.seen.set()


@pytest.mark.parametrize("kind", [RecordConsumer, StoppableConsumer])
async def test_stopping_it_ends_no_task_but_its_own(
    tmp_path: Path, kind: type[AIOKafkaConsumer], caplog: pytest.LogCaptureFixture
) -> None:
    failed = Failed()
    # A command that was tried in this process may have made the client silent.
    caplog.set_level(logging.ERROR, logger="aiokafka")
    logging.getLogger("aiokafka").addHandler(failed)
    try:
        async with EmbeddedBroker(log=tmp_path / "broker.log") as broker:
            settings = Settings(kafka=embedded_kafka(broker.bootstrap_servers))
            await asyncio.to_thread(declare, settings.kafka, settings.topics)
            consumer = kind(**connection_options(settings.kafka), retry_backoff_ms=BACKOFF)
            await consumer.start()
            partition = TopicPartition(settings.topics.clickstream, 0)
            consumer.assign([partition])
            consumer.seek(partition, 0)
            await consumer.getmany(partition, timeout_ms=100)
        await failed.seen.wait()
        await consumer.stop()
    finally:
        logging.getLogger("aiokafka").removeHandler(failed)
