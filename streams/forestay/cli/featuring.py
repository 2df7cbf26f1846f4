"""Lists features, and computes them point in time for a person or a file."""

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay.cli.console import console, printable, table
from forestay.cli.progress import progress
from forestay.core.errors import ForestayError, UsageError
from forestay.core.feature_set import FAMILY_NAMES, FeatureSet
from forestay.core.rules import Rules
from forestay.core.units import to_datetime
from forestay.history.moment import parse_moment
from forestay.history.point_in_time import Snapshot, UserFeatures
from forestay.history.reading import EventFile, Problems
from forestay.history.told import History
from forestay.history.writers import Form, write_features
from forestay.settings import Settings
from forestay.trigger_file import load_triggers
from forestay_schemas.types import rfc3339

#: Users a table shows: for more there are files.
_SHOWN: Final = 20
_SUFFIXES: Final[dict[str, Form]] = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}


class Wanted(NamedTuple):
    """What is asked for: features at `at` (None: the newest event's time) of `users` (empty: all)."""

    files: list[Path]
    at: str | None
    users: Collection[str]
    form: str | None
    out: Path | None
    strict: bool


def listed(features: FeatureSet, family: str | None) -> list[dict[str, Any]]:
    """Returns the features in the order of vectors, of one family if it is named.

    Raises:
        ForestayError: no family that is on is called so.
    """
    names = [one.name for one in features.families]
    if family is not None and family not in names:
        what = f"no family {family} is on" if family in FAMILY_NAMES else f"there is no family {family}"
        raise ForestayError(f"{what}; there are: {', '.join(names)}")
    return [
        {"name": name, "meaning": meaning, "unit": unit, "default": default, "family": one.name}
        for one in features.families
        if family in (None, one.name)
        for name, meaning, unit, default in one.features
    ]


def rules_of(settings: Settings) -> Rules:
    """Returns the core's rules by the settings and the file of triggers."""
    return settings.engine.rules(settings.features, load_triggers(settings.triggers).rules())


def compute(settings: Settings, wanted: Wanted) -> None:
    """Computes features and writes or shows them.

    Raises:
        OSError: a file cannot be read or written.
        ForestayError: nothing is left to compute features of, or `strict` and a row is not good.
    """
    rules = rules_of(settings)
    at = None if wanted.at is None else parse_moment(wanted.at)
    files = [EventFile(path, rules, settings.topics.clickstream) for path in wanted.files]
    if wanted.out is not None and any(wanted.out.exists() and wanted.out.samefile(path) for path in wanted.files):
        raise ForestayError(f"--out {wanted.out} is a file of events: name another")
    with History() as history, progress() as tell:
        snapshot = Snapshot(rules, history)
        snapshot.read(files, at, tell)
        say_problems(snapshot.problems)
        if snapshot.problems.total and wanted.strict:
            raise ForestayError(f"{snapshot.problems.total:,} rows are no events, and --strict was asked for")
        if snapshot.is_empty:
            until = "" if at is None else f" up to {rfc3339(to_datetime(at))}"
            raise ForestayError(f"no event is left{until}: there is nothing to compute features of")
        users = snapshot.users(wanted.users, tell)
        written = _deliver(users, rules.features, snapshot.at, wanted)
    _say_missing(wanted, written)
    if wanted.out is not None:
        rows = "1 row" if written == 1 else f"{written:,} rows"
        sys.stderr.write(f"{rows}, a user each, in {printable(str(wanted.out))}\n")


def say_problems(problems: Problems) -> None:
    """Names what was left out, on stderr."""
    for line in problems.lines():
        sys.stderr.write(f"{printable(line)}\n")


def _say_missing(wanted: Wanted, written: int) -> None:
    if wanted.users and not written:
        raise ForestayError("none of these users has an event by then")
    if written < len(set(wanted.users)):
        sys.stderr.write(
            f"{written} users for {len(set(wanted.users))} ids: the others have no event, or are one user\n"
        )


def form_of(form: str | None, out: Path | None) -> str:
    """Returns the form to write in: as asked for, else by the file's name, else a table.

    Raises:
        UsageError: the name says nothing, or Parquet is to go to a terminal.
    """
    if form is None:
        if out is None:
            return "table"
        if out.suffix not in _SUFFIXES:
            raise UsageError(f"--out {out}: call it .parquet, .csv, .json or .jsonl, or say --format")
        return _SUFFIXES[out.suffix]
    if form == "parquet" and out is None:
        raise UsageError("--format parquet needs --out FILE.parquet")
    if form == "table" and out is not None:
        raise UsageError("--format table is for the terminal: leave out --out, or choose another format")
    return form


def _deliver(users: Iterable[UserFeatures], features: FeatureSet, at: int, wanted: Wanted) -> int:
    form = form_of(wanted.form, wanted.out)
    if form == "table":
        return _show(users, features, at)
    written_as: Form = "parquet" if form == "parquet" else "csv" if form == "csv" else "json"
    if wanted.out is None:
        return write_features(sys.stdout.buffer, written_as, features.names, at, users)
    unfinished = wanted.out.with_name(wanted.out.name + ".part")
    try:
        with unfinished.open("wb") as file:
            written = write_features(file, written_as, features.names, at, users)
        unfinished.replace(wanted.out)
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _show(users: Iterable[UserFeatures], features: FeatureSet, at: int) -> int:
    """Shows what differs from a user without events."""
    rows = table("user", "feature", "value", "unit", right=("value",))
    count = 0
    for count, user in enumerate(users, start=1):
        if count > _SHOWN:
            continue
        for feature, value in zip(features.features, user.features, strict=True):
            if float(value) != feature.default:
                rows.add_row(printable(user.user_id), feature.name, str(value), feature.unit)
    if not count:
        return 0
    out = console()
    out.print(f"at {rfc3339(to_datetime(at))}; features at their default are left out")
    out.print(rows)
    if count > _SHOWN:
        out.print(f"and {count - _SHOWN:,} users more: write them with --out FILE.parquet, or name some with --user")
    return count
