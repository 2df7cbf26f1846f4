"""How far the worker is: committed offsets against what the broker has acknowledged."""

import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Final, NamedTuple, Self

from forestay.demo.harvest import Harvest
from forestay.settings import Settings
from forestay.shell.topics import admin_client, committed_offsets

#: Over how long a rate is taken (seconds): workers commit about once a second.
_WINDOW: Final = 2.0


class Sample(NamedTuple):
    """One look: `at` seconds after the first; events sent, and done; `lag`: records the broker has, not yet done."""

    at: float
    sent: int
    done: int
    lag: int
    rate: float
    users: int
    decisions: int
    dead_letters: int
    rungs: Mapping[str, int]
    kinds: Mapping[str, int]

    @property
    def actions(self) -> int:
        """Returns how many actions there are."""
        return sum(self.kinds.values())


class Meter:
    """A context that takes samples and keeps them."""

    def __init__(self, settings: Settings, partitions: int, harvest: Harvest) -> None:
        """`harvest` is what the watcher fills."""
        self.samples: list[Sample] = []
        #: What the replay has sent, how much of it the broker has, and how many clock records it has.
        self.sent = self.acknowledged = self.clocks = 0
        self.partitions = partitions
        self._settings = settings
        self._harvest = harvest
        self._resources = ExitStack()
        self._began = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque()

    def __enter__(self) -> Self:
        """Opens Kafka's admin interface."""
        self._admin = self._resources.enter_context(admin_client(self._settings.kafka))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self._resources.close()

    def sample(self) -> Sample:
        """Asks the broker and keeps the answer.

        Raises:
            kafka.errors.KafkaError: it does not answer.
        """
        topics, harvest = self._settings.topics, self._harvest
        committed = committed_offsets(self._admin, self._settings.kafka.group_id)
        done = sum(committed.get(topics.clickstream, {}).values())
        clock_done = sum(committed.get(topics.clock, {}).values())
        at = time.monotonic() - self._began
        sample = Sample(
            at=at,
            sent=self.sent,
            done=done,
            lag=max(self.acknowledged + self.clocks - done - clock_done, 0),
            rate=self._rate(at, done),
            users=harvest.users,
            decisions=len(harvest.decisions),
            dead_letters=len(harvest.dead_letters),
            rungs=dict(harvest.rungs),
            kinds=dict(harvest.kinds),
        )
        self.samples.append(sample)
        return sample

    def _rate(self, at: float, done: int) -> float:
        """Returns events committed a second over the last few seconds."""
        recent = self._recent
        recent.append((at, done))
        while len(recent) > 2 and at - recent[1][0] >= _WINDOW:  # noqa: PLR2004 - a rate takes two points
            recent.popleft()
        seconds = at - recent[0][0]
        return (done - recent[0][1]) / seconds if seconds > 0 else 0.0
