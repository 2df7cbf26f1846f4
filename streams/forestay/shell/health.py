"""Whether a worker lives and is ready, judged from what is seen of it; the clock is given, nothing is asked.

A worker that works may be slow; one that is ill has work and does not move, or hears nothing from Kafka. What can
stand still: an assignment that does not come, a recovery, the fetches of all partitions, the positions of one. Only
time in which this process ran is counted: a machine that slept has not made its worker ill.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from forestay.settings import Settings
from forestay.shell.recovery.progress import RecoveryProgress
from forestay.shell.web import Answer

logger = logging.getLogger(__name__)

#: Most seconds between two looks that count: they are a second apart, unless the process was stopped meanwhile.
_LONGEST_STEP: Final = 5.0


class Phase(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    JOINING = "joining"
    RECOVERING = "recovering"
    WORKING = "working"
    SPARE = "spare"
    STOPPING = "stopping"


class TopicSight(NamedTuple):
    """One source topic of one partition, in offsets of the next record.

    Fetched as far as `read`, handed over as far as `delivered`, in the state as far as `applied`. `end`: where what
    may be read ends, None before the first answer; `answered`: a number that changes with each answer to a fetch.
    """

    end: int | None
    read: int
    delivered: int
    applied: int
    answered: int | None

    @property
    def lag(self) -> int | None:
        """Returns how many offsets are not applied yet, None if nobody knows.

        The end may hold no record (marks of transactions, an expired tail): who has read it all is not behind.
        """
        if self.end is None:
            return None
        if self.delivered <= self.applied and self.read >= self.end:
            return 0
        return max(self.end - self.applied, 0)


class PartitionSight(NamedTuple):
    """One partition at work: its source topics by name, the sum of its durable positions, whether it has a chunk."""

    topics: Mapping[str, TopicSight]
    durable: int
    busy: bool

    @property
    def applied(self) -> int:
        """Returns the sum of the positions applied."""
        return sum(topic.applied for topic in self.topics.values())


class Sight(NamedTuple):
    """What is seen of a worker at one moment; `full`: the consumer waits until someone takes what it has read."""

    partitions: Mapping[int, PartitionSight]
    full: bool = False


class Standstill:
    """For how many seconds something has not moved although it had reason to."""

    def __init__(self) -> None:
        """Starts at rest."""
        self._seconds = 0.0
        self._last: object = None

    def see(self, step: float, at: object, due: bool) -> float:
        """Looks `step` seconds after the last look; returns the seconds."""
        unmoved = due and self._last == (at, due)
        self._seconds = self._seconds + step if unmoved else 0.0
        self._last = (at, due)
        return self._seconds


class Health:
    """Follows a worker through its phases and says what the web port answers."""

    def __init__(self, settings: Settings, progress: RecoveryProgress, clock: Callable[[], float]) -> None:
        """`clock`: seconds that only ever grow; `progress` is told by the recovery."""
        kafka, worker = settings.kafka, settings.worker
        self._joining = kafka.rebalance_timeout_seconds + worker.stalled_seconds
        self._patience = worker.stalled_seconds
        self._fetching = worker.stalled_seconds + kafka.fetch_wait_seconds
        self._committing = worker.stalled_seconds + worker.commit_interval_seconds
        self._progress = progress
        self._clock = clock
        self._phase = Phase.STARTING
        self._since = self._seen = clock()
        self._sight = Sight({})
        self._standstills: dict[object, Standstill] = {}
        self._told: set[object] = set()
        self.troubles: tuple[str, ...] = ()

    def enter(self, phase: Phase) -> None:
        """Notes that the worker is in `phase` from now on; none follows `STOPPING`."""
        if self._phase is not Phase.STOPPING:
            self._phase, self._since = phase, self._clock()

    def look(self, sight: Sight) -> None:
        """Takes in what is seen now; troubles that begin and end are logged once."""
        now = self._clock()
        step, self._seen, self._sight = min(now - self._seen, _LONGEST_STEP), now, sight
        seen = dict(self._looks(sight))
        self._standstills = {key: self._standstills.get(key) or Standstill() for key in seen}
        troubles = {}
        for key, look in seen.items():
            still = self._standstills[key].see(step, look.at, look.due)
            if still > look.limit:
                troubles[key] = f"{look.text} for {still:.0f} s"
        for key in troubles.keys() - self._told:
            logger.error("not live: %s", troubles[key])
        if self._told and not troubles:
            logger.info("live again")
        self._told = set(troubles)
        self.troubles = tuple(troubles.values())

    def _looks(self, sight: Sight) -> Iterator[tuple[object, "_Look"]]:
        if self._phase in (Phase.STARTING, Phase.JOINING):
            text = f"{self._phase}: no partitions are assigned"
            yield self._phase, _Look(self._since, True, self._joining, text)
        elif self._phase is Phase.RECOVERING:
            read, to_read = self._progress.read, self._progress.to_read
            text = f"recovery stands at {read} of {to_read} offsets"
            yield self._phase, _Look((self._since, read), True, self._patience, text)
        elif self._phase is Phase.WORKING:
            yield from self._positions(sight)

    def _positions(self, sight: Sight) -> Iterator[tuple[object, "_Look"]]:
        # Whoever has no room for more asks Kafka for nothing, and one partition may wait long for its turn.
        held = sight.full and any(partition.busy for partition in sight.partitions.values())
        answered = [topic.answered for one in sight.partitions.values() for topic in one.topics.values()]
        latest = max((one for one in answered if one is not None), default=None)
        yield "fetches", _Look(latest, not held, self._fetching, "Kafka has answered no fetch")
        for number, one in sight.partitions.items():
            for name, topic in one.topics.items():
                due = not held and topic.end is not None and topic.read < topic.end
                text = f"{name}-{number}: nothing was read at offset {topic.read}, {topic.end} is the end,"
                yield (name, number), _Look(topic.read, due, self._patience, text)
            due = one.busy or one.durable != one.applied
            lags = ", ".join(f"{name} {topic.lag}" for name, topic in one.topics.items())
            text = f"partition {number}: positions stand still, {one.applied - one.durable} not durable (lag: {lags})"
            yield number, _Look((one.applied, one.durable), due, self._committing, text)

    # -- what the web port says ----------------------------------------------------------------------

    def live(self) -> Answer:
        """Answers whether it would help to start this worker again."""
        stopping = self._phase is Phase.STOPPING
        live = not (stopping or self.troubles)
        reasons = ["the worker is stopping"] if stopping else list(self.troubles)
        return Answer(live, {"live": live, "phase": self._phase} | ({} if live else {"reasons": reasons}))

    def ready(self) -> Answer:
        """Answers whether this worker has partitions, restored and at work; and how far it is."""
        ready = self._phase is Phase.WORKING and bool(self._sight.partitions)
        seconds = self._clock() - self._since
        content: dict[str, Any] = {"ready": ready, "phase": self._phase, "seconds": round(seconds, 1)}
        if self._phase is Phase.RECOVERING:
            content["partitions"] = sorted(self._progress.partitions)
            content["recovery"] = recovery(self._progress, seconds)
        else:
            content["partitions"] = sorted(self._sight.partitions)
            content["lag"] = {
                str(number): {name: topic.lag for name, topic in one.topics.items()}
                for number, one in sorted(self._sight.partitions.items())
            }
        return Answer(ready, content)


class _Look(NamedTuple):
    """Where something is, whether it should move, how many seconds it may stand still, and what is then said."""

    at: object
    due: bool
    limit: float
    text: str


def recovery(progress: RecoveryProgress, seconds: float) -> dict[str, Any]:
    """Returns how far a recovery has come in `seconds`, in offsets; the rest is expected at the pace so far."""
    read, to_read = progress.read, progress.to_read
    known = read > 0 and all(one.to_read for one in progress.partitions.values())
    return {
        "read": read,
        "to_read": to_read,
        "percent": _percent(read, to_read),
        "expected_rest_seconds": round(seconds * (to_read - read) / read, 1) if known else None,
        "partitions": {
            str(number): {"read": one.read, "to_read": one.to_read, "percent": _percent(one.read, one.to_read)}
            for number, one in sorted(progress.partitions.items())
        },
    }


def _percent(read: int, to_read: int) -> float | None:
    return round(100 * read / to_read, 1) if to_read else None
