"""Replays recordings onto topics for a person who watches and may stop it."""

import asyncio
import logging
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay.cli.interruptible import run_until_asked
from forestay.cli.progress import progress
from forestay.core.errors import ConfigurationError
from forestay.core.units import to_datetime
from forestay.recording import open_recording
from forestay.replay.extent import parse_extent, total
from forestay.replay.order import Recorded
from forestay.replay.outcome import Progress, Summary
from forestay.replay.pace import Fastest, OwnPace, Pace, Steady
from forestay.replay.routes import create, destinations, warnings
from forestay.replay.run import find_routes, replay
from forestay.settings import ClockSource, Settings
from forestay.shell.permissions import WRITE, Grant, check_allowed
from forestay.shell.topics import admin_client, partition_counts
from forestay_schemas.types import rfc3339

_STAGE: Final = "replaying"
_MIXED: Final = "recorded and real time do not mix: a worker for recordings has worker.clock=none"


class Request(NamedTuple):
    """What a person asked for; `rate` and `speed` None: as fast as possible."""

    recordings: Sequence[Path]
    only: Sequence[str] = ()
    renamed: Mapping[str, str] = {}
    rate: float | None = None
    speed: float | None = None
    start: str | None = None
    until: str | None = None
    limit: int | None = None
    keep_timestamps: bool = False
    create: bool = False

    @property
    def pace(self) -> Pace:
        """Returns when records are due."""
        return Steady(self.rate) if self.rate else OwnPace(self.speed) if self.speed else Fastest()


def run(settings: Settings, request: Request) -> Summary:
    """Replays; Ctrl-C and SIGTERM end it in order.

    Raises:
        ConfigurationError: what was asked for makes no sense.
        RecordingError: one is no recording, or damaged.
        ReplayError: Kafka or a topic is not there, or a record did not arrive.
        kafka.errors.KafkaError: no broker answers.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    # They say several times a second that no broker answers; the replay says what came of it.
    for client in ("aiokafka", "kafka"):
        logging.getLogger(client).setLevel(logging.CRITICAL)
    extent = parse_extent(request.start, request.until, request.limit)
    recorded = Recorded([open_recording(path) for path in request.recordings])
    chosen = destinations(recorded, settings.topics, request.only, request.renamed)
    for topic in chosen.left_out:
        _say(f"{topic} is left out: workers write it themselves. --only {topic} sends it all the same")
    if not chosen.topics and recorded.counts:
        raise ConfigurationError("nothing is left to be sent: --only TOPIC names what is")
    _prepare(settings, request, recorded, chosen.topics)
    found = find_routes(settings, recorded, chosen.topics)
    for warning in warnings(found):
        _say(warning)
    if settings.worker.clock is ClockSource.WALL and settings.topics.clickstream in chosen.topics.values():
        _say(_MIXED)
    count = total(recorded, extent, found)
    with progress() as tell:

        def show(told: Progress) -> None:
            tell(_STAGE, told.acknowledged, count)

        def start(stop: asyncio.Event) -> Coroutine[Any, Any, Summary]:
            return replay(
                recorded,
                settings.kafka,
                found,
                pace=request.pace,
                extent=extent,
                keep_timestamps=request.keep_timestamps,
                tell=show,
                stop=stop,
            )

        summary = run_until_asked(start)
    bounded = request.start is not None or request.until is not None
    if bounded and not summary.acknowledged and not summary.halted and len(recorded):
        _say(f"nothing was sent: {reach(recorded)}")
    return summary


def reach(recorded: Recorded) -> str:
    """Returns from where to where recordings go: what a bound that leaves nothing was to lie in."""
    first = last = next(message.timestamp for message in recorded.messages(0))
    for message in recorded.messages(0):
        first, last = min(first, message.timestamp), max(last, message.timestamp)
    times = " to ".join(rfc3339(to_datetime(moment)) for moment in (first, last))
    return f"what is recorded has rows 0 to {len(recorded) - 1}, of {times}"


def _prepare(settings: Settings, request: Request, recorded: Recorded, to: Mapping[str, str]) -> None:
    """Checks what we may do with the topics, and makes those that are missing, if asked to."""
    names = sorted(set(to.values()))
    check_allowed(settings.kafka, [Grant("topic", name, WRITE) for name in names])
    if not request.create:
        return
    there = partition_counts(settings.kafka, names)
    wanted: dict[str, int] = {}
    for old, name in to.items():
        if name not in there:
            wanted[name] = max(wanted.get(name, 0), recorded.partitions.get(old, settings.topics.partitions))
    if wanted:
        with admin_client(settings.kafka) as admin:
            create(admin, wanted, settings.topics)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def outcome(summary: Summary) -> dict[str, Any]:
    """Returns the summary for machines."""
    topics: dict[str, dict[str, Any]] = {}
    for (topic, partition), arrived in summary.arrived.items():
        told = topics.setdefault(topic, {"sent": 0, "partitions": {}})
        told["sent"] += arrived.records
        told["partitions"][str(partition)] = {
            "records": arrived.records,
            "first_offset": arrived.first_offset,
            "last_offset": arrived.last_offset,
        }
    return {
        "sent": summary.acknowledged,
        "seconds": round(summary.seconds, 3),
        "halted": summary.halted,
        "next_row": summary.next_row,
        "topics": topics,
    }


def report_lines(summary: Summary) -> Iterator[str]:
    """Yields the summary for people."""
    pace = summary.acknowledged / summary.seconds if summary.seconds else 0.0
    done = f"{summary.acknowledged:,} sent in {summary.seconds:.1f} s ({pace:,.0f}/s)"
    yield f"stopped half-way: {done}" if summary.halted else done
    for topic, told in outcome(summary)["topics"].items():
        yield f"  {topic}: {told['sent']:,}"
    if summary.halted:
        yield f"--from {summary.next_row} goes on from here"
