"""Checks and converts files of foreign events, and tells what became of them."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from forestay.adapters.adapter import Adapter
from forestay.adapters.files import read_records
from forestay.adapters.loading import load_mapping, load_profile
from forestay.adapters.report import Report
from forestay.cli.console import printable
from forestay.core.errors import ConfigurationError, ForestayError
from forestay.settings import Settings

#: How much of a record an example shows (characters), and how many names a line of counts.
_SHOWN: Final = 600
_NAMES: Final = 40


def adapter_of(settings: Settings, profile: str | None, mapping: Path | None) -> Adapter:
    """Returns the adapter that the flags name, or else the settings.

    Raises:
        ConfigurationError: none is named, or the one that is cannot work.
    """
    if profile is None and mapping is None:
        profile, mapping = settings.adapter.profile, settings.adapter.mapping
    if mapping is not None:
        return Adapter(load_mapping(mapping))
    if profile is None:
        raise ConfigurationError(
            "no mapping: give --profile NAME (see `forestay adapt --profiles`) or --mapping FILE"
        )
    return Adapter(load_profile(profile))


def check_file(adapter: Adapter, path: Path, limit: int | None) -> Report:
    """Returns what the mapping does to the first `limit` records in `path`.

    Raises:
        OSError: it cannot be read.
        ForestayError: it is empty, or no file of records.
    """
    report = Report(adapter)
    for read in islice(read_records(path, adapter.mapping.csv), limit):
        report.add(read)
    return report


def convert_file(adapter: Adapter, path: Path, out: Path, limit: int | None) -> Report:
    """Writes the click events in `path` to `out`, one JSON object a line; returns what became of each record.

    `out` appears when it is whole.

    Raises:
        OSError: one of them cannot be read or written.
        ForestayError: `path` is empty or no file of records, both are the same file, or `out` has no folder.
    """
    if not out.parent.is_dir():
        raise ForestayError(f"--out {out}: there is no folder {out.parent}; make it first")
    if out.exists() and out.samefile(path):
        raise ForestayError(f"--out {out} is the file to convert: name another")
    report = Report(adapter)
    unfinished = out.with_name(out.name + ".part")
    try:
        with unfinished.open("wb") as lines:
            for read in islice(read_records(path, adapter.mapping.csv), limit):
                mapped = report.add(read)
                if mapped is not None:
                    lines.write(mapped.value + b"\n")
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return report


def summary_text(summary: dict[str, Any], *, examples: bool) -> str:
    """Returns the summary of a report for people; `examples`: with records that were mapped, before and after."""
    return "\n".join(printable_lines(_lines(summary, examples=examples)))


def printable_lines(lines: Iterator[str]) -> Iterator[str]:
    """Yields the lines with control characters escaped: a record must not steer the terminal."""
    return (printable(line) for line in lines)


def _lines(summary: dict[str, Any], *, examples: bool) -> Iterator[str]:
    skipped, failed = summary["skipped"], summary["failed"]
    yield (
        f"{summary['read']:,} records by {summary['mapping']}: {summary['mapped']:,} mapped,"
        f" {sum(skipped.values()):,} skipped, {sum(failed.values()):,} failed"
    )
    yield from _counts("skipped", skipped)
    yield from _counts("failed", {_where(reason, summary): count for reason, count in failed.items()})
    if not summary["mapped"]:
        yield f"not one record became an event: is {summary['mapping']} the right mapping for this file?"
    else:
        yield from _counts("events", summary["events"])
        yield f"time: {summary['from']} to {summary['to']}"
        users = f"{summary['users']:,}" if summary["users_exact"] else f"at least {summary['users']:,}"
        yield f"users: {users}; events that name two ids of one user: {summary['names_two_ids']:,}"
        if summary["repeated_event_ids"]:
            yield f"event ids that came before, counted once by the engine: {summary['repeated_event_ids']:,}"
    yield from _counts("fields used", summary["fields_used"])
    yield from _counts("fields dropped", summary["fields_dropped"])
    if examples:
        yield from _examples(summary)
    yield from _failures(summary)


def _where(reason: str, summary: dict[str, Any]) -> str:
    return f"{reason} (first in record {summary['failed_first'][reason]:,})"


def _counts(title: str, counts: dict[str, int]) -> Iterator[str]:
    if not counts:
        return
    yield f"{title}:"
    width = len(f"{max(counts.values()):,}")
    for name, count in islice(counts.items(), _NAMES):
        yield f"  {count:>{width},}  {name}"
    if len(counts) > _NAMES:
        yield f"  and {len(counts) - _NAMES} more; --json has all"


def _examples(summary: dict[str, Any]) -> Iterator[str]:
    for example in summary["examples"]:
        yield f"example, record {example['position']}:"
        yield f"  before {_short(example['before'])}"
        yield f"  after  {_short(example['after'])}"


def _failures(summary: dict[str, Any]) -> Iterator[str]:
    for example in summary["failed_examples"]:
        yield f"failed, record {example['position']}: {example['reason']}"
        if example["before"] is not None:
            yield f"  before {_short(example['before'])}"


def _short(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
