"""A replay from recordings to Kafka."""

import asyncio
from collections.abc import Callable, Mapping

from forestay.replay.extent import Extent, pieces
from forestay.replay.order import Recorded
from forestay.replay.outcome import Progress, Summary
from forestay.replay.pace import Fastest, Pace
from forestay.replay.replayer import Replayer
from forestay.replay.routes import Route, routes
from forestay.replay.sink import KafkaSink
from forestay.settings import KafkaSettings, Settings
from forestay.shell.topics import partition_counts

_ALL = Extent()
_FASTEST = Fastest()


def find_routes(settings: Settings, recorded: Recorded, to: Mapping[str, str]) -> dict[str, Route]:
    """Returns the routes from recorded topics to topics there are.

    Raises:
        ReplayError: a topic is not there.
        kafka.errors.KafkaError: no broker answers.
    """
    counts = partition_counts(settings.kafka, sorted(set(to.values())))
    return routes(recorded, to, counts, settings.topics.partitioner)


async def replay(
    recorded: Recorded,
    kafka: KafkaSettings,
    found: Mapping[str, Route],
    *,
    pace: Pace = _FASTEST,
    extent: Extent = _ALL,
    keep_timestamps: bool = False,
    tell: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> Summary:
    """Sends the rows of `extent` that have a route, and waits for all of them; `stop` ends it in order.

    Records carry the time of sending, unless `keep_timestamps` says the recorded one (brokers delete what is older
    than the topic's retention).

    Raises:
        ReplayError: Kafka is not there, or a record did not arrive, or a file is damaged. Sending stops at the first.
    """
    async with KafkaSink(kafka) as sink:
        replayer = Replayer(sink, found, pace, keep_timestamps=keep_timestamps, tell=tell)
        return await replayer.run(pieces(recorded, extent, found), stop or asyncio.Event(), extent.first)
