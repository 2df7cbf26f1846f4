"""Records topics for a person who watches and may stop it."""

import logging
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.interruptible import run_until_asked
from forestay.cli.progress import progress
from forestay.recorder.bounds import Bound, Kind, parse_end, parse_start
from forestay.recorder.choice import choose
from forestay.recorder.recorder import Plan, Recorder, Report
from forestay.recording.output import Describe, FileOutput, FolderOutput, Limits, Output
from forestay.settings import RecordSettings, Settings
from forestay.shell.permissions import READ, Grant, check_allowed
from forestay.shell.topics import admin_client

_MEGABYTE = 1_000_000
_MINUTE = 60.0


class Request(NamedTuple):
    """What a person asked for; `until` None: until stopped."""

    out: Path
    topics: Sequence[str]
    patterns: Sequence[str]
    start: str
    until: str | None
    limit: int | None
    skip_gaps: bool
    form: str


def run(settings: Settings, request: Request) -> Report:
    """Records; Ctrl-C and SIGTERM end it in order.

    Raises:
        ConfigurationError: what was asked for makes no sense, or a topic is not there.
        AccessError: Kafka does not let us read a topic named.
        ForestayError: see `Recorder.run`.
        kafka.errors.KafkaError: no broker answers.
    """
    plan = Plan(
        choice=choose(settings.topics, request.topics, request.patterns),
        start=parse_start(request.start),
        end=Bound(Kind.NEVER) if request.until is None else parse_end(request.until),
        limit=request.limit,
        skip_gaps=request.skip_gaps,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    # They say several times a second that no broker answers; the recorder says it once in a while.
    for client in ("aiokafka", "kafka"):
        logging.getLogger(client).setLevel(logging.CRITICAL)
    check_allowed(settings.kafka, [Grant("topic", name, READ) for name in plan.choice.names])
    make = partial(_output, settings.record, request)
    with admin_client(settings.kafka) as admin, progress() as tell:
        recorder = Recorder(settings.kafka, plan, partial(plan.choice.find, admin), make, tell)
        return run_until_asked(recorder.run)


def _output(limits: RecordSettings, request: Request, describe: Describe) -> Output:
    if request.out.suffix in {".parquet", ".jsonl"} and not request.out.is_dir():
        return FileOutput(request.out, describe)
    bounds = Limits(round(limits.part_megabytes * _MEGABYTE), limits.part_minutes * _MINUTE)
    return FolderOutput(request.out, request.form, bounds, describe)


def outcome(out: Path, report: Report) -> dict[str, Any]:
    """Returns the report for machines."""
    gone: dict[str, dict[str, int]] = {}
    for (topic, partition), count in sorted(report.gone.items()):
        gone.setdefault(topic, {})[str(partition)] = count
    partitions: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(report.positions.items()):
        partitions.setdefault(topic, {})[str(partition)] = offset
    return {
        "path": str(out),
        "records": report.records,
        "bytes": report.bytes,
        "seconds": round(report.seconds, 3),
        "resumed": report.resumed,
        "halted": report.halted,
        "gone": gone,
        "next_offsets": partitions,
        "files": report.files,
    }


def report_lines(out: Path, report: Report) -> Iterator[str]:
    """Yields the report for people."""
    pace = report.records / report.seconds if report.seconds else 0.0
    files = f"{len(report.files)} file" + "s" * (len(report.files) != 1)
    yield (
        f"{report.records:,} records {'more ' * report.resumed}in {out}: {files}, {report.bytes:,} bytes,"
        f" {report.seconds:.1f} s ({pace:,.0f}/s)"
    )
    for (topic, partition), count in sorted(report.gone.items()):
        yield f"{count:,} offsets of {topic}-{partition} were deleted before they could be recorded"
    if report.halted:
        yield "stopped; the same command goes on from here"
