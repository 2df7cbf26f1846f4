"""Clock records: they tell partitions in which nothing happens what time it is."""

from collections.abc import Iterable

from kafka import KafkaProducer

from forestay.core.units import to_datetime
from forestay_schemas.clock_record import ClockRecord

#: Seconds for the broker to acknowledge.
_TIMEOUT = 30.0


def send_clock(producer: KafkaProducer, topic: str, partitions: Iterable[int], ts: int) -> dict[int, int]:
    """Sends a clock record of event time `ts` (epoch milliseconds) to each of `partitions`, and waits for all.

    Returns the offset of each by partition.

    Raises:
        KafkaError: one did not arrive.
    """
    value = ClockRecord(ts=to_datetime(ts)).model_dump_json().encode()
    futures = {partition: producer.send(topic, value, partition=partition) for partition in partitions}
    return {partition: future.get(_TIMEOUT).offset for partition, future in futures.items()}
