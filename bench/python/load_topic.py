"""Puts a file of events, a line each, on the topic, keyed by user: load_topic.py BOOTSTRAP TOPIC FILE KEY_AT KEY_END.

The key stands at the same place of every line. Partitions are chosen as Kafka's own clients do (murmur2).
"""

import sys
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

REPORT_EVERY = 100_000


def load(bootstrap: str, topic: str, file: Path, key: slice) -> None:
    """Returns when all records are durable; says on stdout how many were sent so far."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 20,
            "partitioner": "murmur2_random",
            "compression.type": "none",
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 1_000_000,
            "enable.idempotence": True,
            "on_delivery": delivered,
            "delivery.report.only.error": True,
            # What it has to say short of an error (syslog's level 3) is nothing a user of the bench can act on.
            "log_level": 3,
        }
    )
    with file.open("rb") as lines:
        for sent, line in enumerate(lines, 1):
            while True:
                try:
                    producer.produce(topic, value=line[:-1], key=line[key])
                    break
                except BufferError:
                    producer.poll(0.1)
            if sent % REPORT_EVERY == 0:
                producer.poll(0)
                print(sent, flush=True)
    if producer.flush(120) or failed:
        sys.exit(f"not all records of {file} are on {topic}: {failed[:3]}")


if __name__ == "__main__":
    load(sys.argv[1], sys.argv[2], Path(sys.argv[3]), slice(int(sys.argv[4]), int(sys.argv[5])))
