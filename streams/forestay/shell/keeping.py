"""Partitions that a rebalance takes and gives back: they go on as they were left, if nobody had them meanwhile."""

import logging
from collections.abc import Mapping

from aiokafka import TopicPartition

from forestay.settings import KafkaSettings
from forestay.shell.log_reading import log_consumer

logger = logging.getLogger(__name__)

#: Where a partition's logs end that its owner alone writes, by topic.
Ends = Mapping[str, int]


async def as_left(kafka: KafkaSettings, kept: Mapping[int, Ends]) -> dict[int, Ends]:
    """Returns those partitions whose logs end where their owner has left them, with the ends now.

    What is in memory is then what a recovery would bring. To be asked once former owners are shut out: that leaves
    one mark of ours in each log, and any other owner would have left one too, or a record, or has changed nothing.

    Raises:
        aiokafka.errors.KafkaError: the broker does not tell.
    """
    if not kept:
        return {}
    ours = 1 if kafka.fenced else 0
    ends = {TopicPartition(topic, number): end for number, logs in kept.items() for topic, end in logs.items()}
    consumer = log_consumer(kafka)
    await consumer.start()
    try:
        now = await consumer.end_offsets(list(ends))
    finally:
        await consumer.stop()
    others = {tp.partition for tp, end in ends.items() if now[tp] != end + ours}
    left: dict[int, Ends] = {
        number: {topic: now[TopicPartition(topic, number)] for topic in logs}
        for number, logs in kept.items()
        if number not in others
    }
    logger.info("partitions %s go on as they were left", sorted(left))
    return left
