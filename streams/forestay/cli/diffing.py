"""Compares two policies, models or versions for a person or a pipeline."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from forestay.cli.flags import put, split_assignment
from forestay.cli.progress import progress
from forestay.configuration import load_configuration
from forestay.core.errors import ConfigurationError, UsageError
from forestay.diff.compare import compare
from forestay.diff.difference import Difference
from forestay.diff.facts import Facts, read_facts
from forestay.diff.words import money, share, spend_told
from forestay.rerun.job import Way, book_of, rerun, scores_by
from forestay.rerun.reading import Recordings
from forestay.rerun.scores import NoScores, ScoreBook, Scores
from forestay.rerun.triton_scores import TritonScores
from forestay.settings import CONFIG_VARIABLE, Settings, load_settings


class Candidate(NamedTuple):
    """What is changed beside the settings in force: files, and any setting by name."""

    settings: Path | None
    catalogue: Path | None
    triggers: Path | None
    changes: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Says whether nothing is changed."""
        return not any(self)

    def words(self) -> str:
        """Returns what is changed, in words."""
        files = (("settings", self.settings), ("catalogue", self.catalogue), ("triggers", self.triggers))
        named = [f"{name} {path}" for name, path in files if path is not None]
        return ", ".join([*named, *self.changes])


class Limits(NamedTuple):
    """Shares above which a change is too large; None: any is well."""

    changed_users: float | None
    spend_change: float | None

    @property
    def are_set(self) -> bool:
        """Says whether there is one."""
        return any(limit is not None for limit in self)

    def exceeded(self, found: Difference) -> list[str]:
        """Returns a line for each limit the comparison exceeds."""
        lines = []
        users, spend, before, after = found.users, found.spend_change, found.before.cost, found.after.cost
        if self.are_set and not users.total:
            lines.append("there is no decision on either side: nothing was compared")
        # Of the counts themselves: shares are rounded, and one user in millions is more than none.
        if self.changed_users is not None and users.changed > self.changed_users * users.total:
            lines.append(
                f"{users.changed:,} of {users.total:,} users change, {share(users.share)}: more than"
                f" {share(self.changed_users)}"
            )
        if self.spend_change is not None and abs(after - before) > self.spend_change * before:
            lines.append(
                f"spend changes {spend_told(spend)}, {money(before)} to {money(after)}: more than"
                f" {share(self.spend_change)}"
            )
        return lines


def compare_recorded(settings: Settings, before: Sequence[Path], after: Sequence[Path]) -> Difference:
    """Returns what differs between two recordings of decisions and actions.

    Raises:
        RecordingError: one is damaged, or holds no decisions.
    """
    first, second = (read_facts(Recordings(paths), settings.topics) for paths in (before, after))
    return compare(first, second)


def compare_settings(
    paths: Sequence[Path], overrides: Mapping[str, Any], candidate: Candidate, way: Way, quiet_days: float
) -> tuple[Difference, list[str]]:
    """Returns what differs between the settings in force and the candidate's, and what is to be said of the scores.

    Raises:
        ConfigurationError: settings cannot work.
        ForestayError: a recording is damaged, or no scores are to be had.
    """
    base, changed = load_settings(**overrides), _load(candidate, overrides)
    if way == "none" and changed.triton != base.triton:
        raise UsageError("another model changes nothing where none is asked: leave --scores none out")
    recordings = Recordings(paths)
    first, second = Facts(), Facts()
    with progress() as tell, ExitStack() as stack:
        # Both are asked alike, so that the one can go by the other's answers.
        embedding = any(load_configuration(one).catalogue.reads_embedding for one in (base, changed))
        scores = stack.enter_context(scores_by(way, base, recordings, embedding=embedding))
        remembered = ScoreBook(scores)
        was = rerun(
            base,
            recordings,
            scores,
            quiet_days=quiet_days,
            sinks=[first, remembered],
            tell=lambda done: tell("before", done, None),
        )
        others = stack.enter_context(_scores_of(changed, base, recordings, way, remembered))
        ran = rerun(
            changed,
            recordings,
            others,
            quiet_days=quiet_days,
            sinks=[second],
            tell=lambda done: tell("after", done, None),
        )
    return compare(first, second), [*_notes(way, "before", was.scores), *_notes(way, "after", ran.scores)]


@contextmanager
def _scores_of(
    changed: Settings, base: Settings, recordings: Recordings, way: Way, remembered: ScoreBook
) -> Iterator[Scores]:
    """Yields the candidate's scores: those of the same inputs are not asked for twice; another model is asked."""
    if changed.triton != base.triton:
        embedding = load_configuration(changed).catalogue.reads_embedding
        with TritonScores(changed.triton, embedding=embedding) as scores:
            yield scores
    elif way == "triton":
        yield remembered
    elif way == "recorded":
        yield book_of(recordings, base.topics.decisions, NoScores())
    else:
        yield NoScores()


def _notes(way: Way, side: str, scores: Mapping[str, int]) -> Iterator[str]:
    if way == "recorded" and (scores.get("missing") or scores.get("other_input")):
        yield (
            f"of the scores {side} the change {scores['found']:,} were recorded; {scores['missing']:,} moments were"
            f" not scored then and {scores['other_input']:,} had another input: these were decided by the lower rungs"
            " (--scores triton asks the model)"
        )


def _load(candidate: Candidate, overrides: Mapping[str, Any]) -> Settings:
    """Returns the candidate's settings: those in force, or of its own file, with its changes."""
    changed = {name: dict(value) if isinstance(value, dict) else value for name, value in overrides.items()}
    for assignment in candidate.changes:
        name, value = split_assignment(assignment, "--change")
        put(changed, name, value, "--change")
    files = {"catalogue": candidate.catalogue, "triggers": candidate.triggers}
    changed |= {name: path for name, path in files.items() if path is not None}
    with _config(candidate.settings):
        return load_settings(**changed)


@contextmanager
def _config(file: Path | None) -> Iterator[None]:
    """Makes `file` the settings file, for as long as the context lasts."""
    if file is None:
        yield
        return
    if not file.is_file():
        raise ConfigurationError(f"--settings {file}: there is no such file")
    before = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(file)
    try:
        yield
    finally:
        os.environ.pop(CONFIG_VARIABLE)
        if before is not None:
            os.environ[CONFIG_VARIABLE] = before
