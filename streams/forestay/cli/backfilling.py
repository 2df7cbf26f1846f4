"""Fills the state from history for a person who watches."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from forestay.cli.console import printable
from forestay.cli.featuring import rules_of, say_problems
from forestay.cli.progress import progress
from forestay.core.errors import ConfigurationError
from forestay.history.point_in_time import STEP
from forestay.history.reading import EventFile, Problems
from forestay.settings import Settings
from forestay.shell.backfill.backfill import Backfill, Click, Plan, Report
from forestay.shell.topics import check_all, partition_counts

#: Features of a user shown in a report.
_SHOWN: Final = 8


def fill(
    settings: Settings, files: Sequence[Path], *, from_topic: bool, families: Collection[str] | None, dry_run: bool
) -> Report:
    """Runs a backfill.

    Raises:
        ConfigurationError: a family is unknown or off, the topics are not as they should be, or workers are at work.
        ForestayError: a file cannot be read, or the state cannot be written.
        kafka.errors.KafkaError: no broker answers.
    """
    rules = rules_of(settings)
    if files:
        # Files and the topic may both have an event, even where producers send each once.
        rules = rules._replace(deduplicate=True)
    on = [family.name for family in rules.features.families]
    strange = sorted(set(families or ()) - set(on))
    if strange:
        raise ConfigurationError(f"--families: no family {strange[0]} is on; there are {', '.join(on)}")
    opened = [EventFile(path, rules, settings.topics.clickstream) for path in files]
    counts = partition_counts(settings.kafka, settings.topics.names)
    check_all(counts, settings.topics)
    problems = Problems()
    with progress() as tell:
        plan = Plan(_clicks(opened, problems, tell), from_topic, families, dry_run)
        report = asyncio.run(Backfill(settings, rules, counts[settings.topics.clickstream], plan, tell).run())
    say_problems(problems)
    return report


def _clicks(
    files: Sequence[EventFile], problems: Problems, tell: Callable[[str, int, int | None], None]
) -> Iterator[Click]:
    for file in files:
        for row in file.read():
            if row.position % STEP == 0:
                tell(f"reading {file.path.name}", row.position, file.rows)
            if row.event is None:
                problems.add(file.path, row)
            else:
                yield row.event, row.value


def report_lines(report: Report, *, dry_run: bool) -> Iterator[str]:
    """Yields the report for people."""
    would = "would be " if dry_run else ""
    yield (
        f"{report.changed:,} of {report.known:,} users {would}filled, {report.new:,} {would}added,"
        f" {report.unchanged:,} right already; {report.bytes:,} bytes {would}written"
    )
    yield f"{report.events:,} events of history; {report.unreadable:,} records of the topic are no events"
    if report.short:
        yield (
            f"{report.short:,} users have counted more events than history holds: of them only what was empty is"
            " filled; bring the rest of their events with --from FILE"
        )
    for change in report.sample:
        yield f"{printable(change.user_id)}:"
        for name, before, after in change.features[:_SHOWN]:
            yield f"  {name}: {before:g} -> {after:g}"
        if len(change.features) > _SHOWN:
            yield f"  and {len(change.features) - _SHOWN} features more"
