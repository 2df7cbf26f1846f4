"""Where replays go in tests: a sink in memory, under the contract of the real one, and a clock that tests move."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from aiokafka.errors import KafkaError

from forestay.core.record import Headers
from forestay.recording import RecordedMessage, Recording, open_recording
from forestay.replay.extent import Extent
from forestay.replay.order import Recorded
from forestay.replay.outcome import Place, Summary
from forestay.replay.run import find_routes, replay
from forestay.replay.sink import Placed, Sending
from forestay.settings import Settings

SHIPPED = Path(__file__).parents[2] / "recordings" / "online-retail-ii.parquet"


class Kept(NamedTuple):
    """A record on a topic."""

    timestamp: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


class At(NamedTuple):
    """Where a batch lies."""

    offset: int


class VirtualClock:
    """Time that passes only where somebody waits; `stop_at` is when whoever watches says stop."""

    def __init__(self, stop_at: float = math.inf) -> None:
        self.time = 100.0
        self._stop_at = 100.0 + stop_at

    def now(self) -> float:
        return self.time

    async def wait(self, seconds: float, stop: asyncio.Event) -> None:
        self.time += max(seconds, 0.0)
        if self.time >= self._stop_at:
            stop.set()
        await asyncio.sleep(0)


class MemorySink:
    """Partitions as lists. Of a call it takes `batch` records; what became of them is known `slowness` turns later.

    `sent` has the moment of each record by the clock, `refused` says what does not arrive, and why. As in the real
    one, two batches of a partition are under way at most.
    """

    def __init__(
        self,
        clock: VirtualClock | None = None,
        *,
        batch: int = 1_000,
        slowness: Callable[[], int] = lambda: 0,
        refused: Callable[[RecordedMessage], KafkaError | None] = lambda _message: None,
    ) -> None:
        self.log: dict[Place, list[Kept]] = defaultdict(list)
        self.sent: list[tuple[float, RecordedMessage]] = []
        self.under_way = self.most_under_way = 0
        self._clock = clock or VirtualClock()
        self._batch = batch
        self._slowness = slowness
        self._refused = refused
        self._free: dict[Place, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(2))
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(
        self, topic: str, partition: int, messages: Sequence[RecordedMessage], timestamp: int | None
    ) -> Sending:
        place = (topic, partition)
        await self._free[place].acquire()
        taken = messages[: self._batch]
        error = next(filter(None, map(self._refused, taken)), None)
        log = self.log[place]
        first = len(log)
        for message in taken:
            self.sent.append((self._clock.now(), message))
            if error is None:
                at = message.timestamp if timestamp is None else timestamp
                log.append(Kept(at, message.key, message.value, tuple(message.headers)))
        self.under_way += len(taken)
        self.most_under_way = max(self.most_under_way, self.under_way)
        placed: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._answer(place, placed, len(taken), error or At(first)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Sending(len(taken), sum(len(m.key or b"") + len(m.value or b"") for m in taken), placed)

    async def _answer(
        self, place: Place, placed: "asyncio.Future[Placed]", records: int, result: At | KafkaError
    ) -> None:
        for _ in range(self._slowness()):
            await asyncio.sleep(0)
        self.under_way -= records
        self._free[place].release()
        if isinstance(result, At):
            placed.set_result(result)
        else:
            placed.set_exception(result)


def put(
    settings: Settings,
    recordings: Recording | Iterable[Recording],
    topic: str,
    start: int = 0,
    stop: int | None = None,
    *,
    keep_timestamps: bool = False,
) -> Summary:
    """Puts rows of recordings of one topic on `topic`, as fast as possible."""
    recorded = Recorded([recordings] if isinstance(recordings, Recording) else list(recordings))
    found = find_routes(settings, recorded, dict.fromkeys(recorded.counts, topic))
    extent = Extent(first=start, stop=stop)
    return asyncio.run(replay(recorded, settings.kafka, found, extent=extent, keep_timestamps=keep_timestamps))


def put_shipped(settings: Settings, topic: str, start: int, stop: int, *, keep_timestamps: bool = False) -> Summary:
    """The same with rows of the shipped recording."""
    return put(settings, open_recording(SHIPPED), topic, start, stop, keep_timestamps=keep_timestamps)
