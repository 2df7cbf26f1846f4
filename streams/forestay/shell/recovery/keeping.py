"""Partitions that a rebalance takes and gives back: they go on as they were left, if nobody had them meanwhile."""

import logging
from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from forestay.settings import KafkaSettings
from forestay.shell.log_reading import log_consumer

logger = logging.getLogger(__name__)

#: Where a partition's logs end that its owner alone writes, by topic.
Ends = Mapping[str, int]
#: What taking a partition over puts into each of these logs.
_OUR_MARK: Final = 1


async def as_left(kafka: KafkaSettings, kept: Mapping[int, Ends]) -> dict[int, Ends]:
    """Returns those partitions whose logs end where their owner has left them, with the ends now.

    What is in memory is then what a recovery would bring. To be asked once former owners are shut out: that leaves
    one mark of ours in each log, and any other owner would have left one too, or a record, or has changed nothing.
    Without a fence, or where the broker does not tell, there are none: all is read anew.
    """
    if not kept or not kafka.fenced:
        return {}
    try:
        now = await _ends_now(kafka, kept)
    except (KafkaError, TimeoutError) as error:
        logger.warning("the ends of logs are not to be had, so all partitions are read anew: %r", error)
        return {}
    left = {
        number: now[number]
        for number, logs in kept.items()
        if now[number] == {topic: end + _OUR_MARK for topic, end in logs.items()}
    }
    logger.info("partitions %s go on as they were left", sorted(left))
    return left


async def _ends_now(kafka: KafkaSettings, kept: Mapping[int, Ends]) -> dict[int, Ends]:
    places = {number: [TopicPartition(topic, number) for topic in logs] for number, logs in kept.items()}
    consumer = log_consumer(kafka)
    try:
        await consumer.start()
        now = await consumer.end_offsets([tp for own in places.values() for tp in own])
    finally:
        await consumer.stop()
    return {number: {tp.topic: now[tp] for tp in own} for number, own in places.items()}
