"""Sends a run's traffic at its pace, in a thread of its own; all replicas acknowledge every record, or it fails."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError

from forestay_chaos.traffic import TrafficRecord

#: A broker may be gone for a while: what cannot be sent by then is a failure of the cluster, not of the engine.
_DELIVER_MS: Final = 60_000
_REQUEST_MS: Final = 5_000


class Sender:
    """Sends records; before those at `barriers` it waits to be let through."""

    def __init__(
        self, bootstrap: str, topics: Mapping[str, str], records: Sequence[TrafficRecord], barriers: Collection[int]
    ) -> None:
        """`topics`: names by role. Nothing is sent before `start`."""
        self.began = 0.0
        self.failure: str | None = None
        self.sent = 0
        self._bootstrap = bootstrap
        self._topics = topics
        self._records = records
        self._barriers = frozenset(barriers)
        self._waits = threading.Event()
        self._pass = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begins."""
        self.began = time.monotonic()
        self._thread.start()

    @property
    def done(self) -> bool:
        """Says whether it has ended, well or not."""
        return not self._thread.is_alive()

    @property
    def waits(self) -> bool:
        """Says whether it stands before a barrier."""
        return self._waits.is_set()

    def let_through(self) -> None:
        """Opens the barrier it stands before."""
        self._waits.clear()
        self._pass.set()

    def stop(self) -> None:
        """Ends it early."""
        self._stop.set()
        self._pass.set()
        if self._thread.ident is not None:
            self._thread.join(_DELIVER_MS / 1_000 + 5)

    def _run(self) -> None:
        try:
            producer = KafkaProducer(
                bootstrap_servers=self._bootstrap.split(","),
                acks="all",
                enable_idempotence=True,
                linger_ms=5,
                request_timeout_ms=_REQUEST_MS,
                delivery_timeout_ms=_DELIVER_MS,
                max_block_ms=_DELIVER_MS,
            )
        except KafkaError as error:
            self.failure = repr(error)
            return
        try:
            self._send_all(producer)
        except (KafkaError, TimeoutError) as error:
            self.failure = repr(error)
        finally:
            producer.close(timeout=5)

    def _send_all(self, producer: KafkaProducer) -> None:
        held = 0.0
        futures: list[Any] = []
        for place, record in enumerate(self._records):
            if place in self._barriers:
                _await(futures)
                futures = []
                held += self._stand()
            if self._stop.wait(max(self.began + held + record.at_seconds - time.monotonic(), 0)):
                return
            futures.append(
                producer.send(
                    self._topics[record.topic_role],
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                )
            )
            self.sent = place + 1
        _await(futures)

    def _stand(self) -> float:
        """Waits before a barrier; returns for how many seconds."""
        began = time.monotonic()
        self._pass.clear()
        if self._stop.is_set():
            return 0.0
        self._waits.set()
        self._pass.wait()
        return time.monotonic() - began


def _await(futures: Sequence[Any]) -> None:
    for future in futures:
        future.get(_DELIVER_MS / 1_000)
