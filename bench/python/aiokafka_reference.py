"""The reference: a bare aiokafka loop that decodes each event with orjson and does nothing else."""

import asyncio

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from job import Meter, setting


async def main() -> None:
    """Reads the topic once; the harness ends the process."""
    meter = Meter()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=setting("BOOTSTRAP"), auto_offset_reset="earliest", enable_auto_commit=False, group_id=None
    )
    await consumer.start()
    consumer.assign([TopicPartition(setting("INPUT"), number) for number in range(4)])
    await consumer.seek_to_beginning()
    while meter.done < meter.all:
        for messages in (await consumer.getmany(timeout_ms=500)).values():
            for message in messages:
                orjson.loads(message.value)
            meter.add(len(messages))
    await asyncio.Event().wait()


asyncio.run(main())
