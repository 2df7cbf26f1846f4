"""What `forestay catalogue` puts on the topic, and what it shows of it."""

import asyncio
import getpass
import json
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.catalogues.history import Entry, History
from forestay.cli.cataloguing import Change, changes, checked
from forestay.cli.diffing import Candidate, compare_settings
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError, UsageError
from forestay.diff.difference import Difference
from forestay.rerun.job import Way
from forestay.settings import CatalogueSource, Settings, load_settings
from forestay.shell.catalogue_pushing import Said, check_topic, push, read_history
from forestay_schemas import ActionKind


class Proposal(NamedTuple):
    """A catalogue that could be pushed: after which revision, and what it changes."""

    revision: int
    catalogue: Catalogue
    changes: list[Change]


class Stops(NamedTuple):
    """What is to be paused, or resumed."""

    offers: Sequence[str]
    kinds: Sequence[ActionKind]
    everything: bool
    automatic: bool = False


def look(settings: Settings, *, write: bool = False) -> History:
    """Returns what was pushed; where more is to be written, makes sure that it may be.

    Raises:
        ForestayError: the topic is not there, or may not be read.
        kafka.errors.KafkaError: no broker answers.
    """
    check_topic(settings, write=write)
    return asyncio.run(read_history(settings))


def found_in_force(settings: Settings) -> tuple[Catalogue, str]:
    """Returns what workers with these settings work with, and where it is from, in words.

    Raises:
        ConfigurationError: they would not work with the settings' file.
        ForestayError: the topic is not there, or may not be read.
        kafka.errors.KafkaError: no broker answers.
    """
    if settings.worker.catalogue_source is not CatalogueSource.TOPIC:
        return checked(settings, None), str(settings.catalogue)
    history = look(settings)
    entry, topic = in_force(history), settings.topics.catalogue
    if history.current is None or entry is None or entry.record is None:
        return checked(settings, None), f"{settings.catalogue}: nothing was pushed to {topic} yet"
    return history.current, f"revision {entry.record.revision} on {topic}"


def propose(settings: Settings, file: Path) -> Proposal:
    """Returns the catalogue in `file` beside the one in force: that of the topic, or else of the settings' file.

    Raises:
        ConfigurationError: a worker with these settings would not work with it.
        ForestayError: nothing differs, or the topic cannot be read.
    """
    after = checked(settings, file)
    history = look(settings, write=True)
    history.check(after)
    found = changes(history.current or load_catalogue(settings.catalogue), after)
    if not found and history.current is not None:
        raise ForestayError(f"nothing differs from version {after.digest()}, which is in force")
    return Proposal(history.revision, after, found)


def propose_switches(settings: Settings, stops: Stops, *, stop: bool) -> Proposal:
    """Returns the catalogue in force with some of its switches turned: on to `stop`, else off.

    Raises:
        UsageError: nothing is named, or what is named is not there.
        ForestayError: nothing was pushed yet, nothing would change, or the topic cannot be read.
    """
    if not any(stops):
        more = "" if stop else " or --automatic"
        raise UsageError(f"say what: --action ID, --kind KIND (each may be repeated), --all{more}")
    history = look(settings, write=True)
    before = history.current
    if before is None:
        raise ForestayError(
            f"{settings.topics.catalogue} has no catalogue yet that could be changed: push one first, or, where"
            " workers read a file, change its `switches` and restart them"
        )
    after = switched(before, stops, stop=stop)
    found = changes(before, after)
    if not found:
        more = "" if stop else "; what feedback has stopped, --automatic lifts"
        raise ForestayError(f"nothing changes: that is {'paused' if stop else 'offered'} already{more}")
    history.check(after)
    return Proposal(history.revision, after, found)


def switched(catalogue: Catalogue, stops: Stops, *, stop: bool) -> Catalogue:
    """Returns the catalogue with switches turned.

    Raises:
        UsageError: there is no such offer.
    """
    known = {offer.id for offer in catalogue.offers}
    if unknown := sorted(set(stops.offers) - known):
        raise UsageError(f"there is no offer {unknown[0]}; there are {', '.join(sorted(known))}")
    switches = catalogue.switches
    offers, kinds = frozenset(stops.offers), frozenset(stops.kinds)
    turned = {
        "paused": switches.paused | offers if stop else switches.paused - offers,
        "paused_kinds": switches.paused_kinds | kinds if stop else switches.paused_kinds - kinds,
        "everything": stop if stops.everything else switches.everything,
        "lifted": switches.lifted + stops.automatic,
    }
    return catalogue.model_copy(update={"switches": switches.model_copy(update=turned)})


def put(settings: Settings, proposal: Proposal, said: Said) -> int:
    """Pushes it; returns the number of its revision.

    Raises:
        ForestayError: another revision came in between, or the topic cannot be written.
    """
    return asyncio.run(push(settings, proposal.catalogue, said, proposal.revision))


def try_on(
    overrides: Mapping[str, Any], file: Path, recordings: Sequence[Path], way: Way, quiet_days: float
) -> tuple[Difference, list[str]]:
    """Returns what the catalogue in `file` does otherwise on recorded traffic, and what is to be said of the scores.

    Raises:
        ForestayError: it cannot work, a recording is damaged, or the topic cannot be read.
    """
    settings = load_settings(**overrides)
    after = checked(settings, file)
    if settings.worker.catalogue_source is not CatalogueSource.TOPIC:
        return compare_settings(recordings, overrides, Candidate(None, file, None, ()), way, quiet_days)
    history = look(settings)
    history.check(after)
    with _in_file(history.current) as current:
        before = overrides if current is None else {**overrides, "catalogue": current}
        return compare_settings(recordings, before, Candidate(None, file, None, ()), way, quiet_days)


def content_of(history: History, revision: int) -> dict[str, Any]:
    """Returns the catalogue of a revision as a file may have it.

    Raises:
        UsageError: there is no such revision, or none could be worked with.
    """
    for entry in history.entries:
        if entry.record is not None and entry.record.revision == revision and entry.version is not None:
            found = history.catalogue(entry.version)
            assert found is not None  # noqa: S101 - it was worked with
            return found.model_dump(mode="json", by_alias=True)
    raise UsageError(
        f"there is no revision {revision} that can be worked with: `forestay catalogue history` lists all"
    )


def entry_as_json(entry: Entry, history: History) -> dict[str, Any]:
    """Returns an entry of the topic for machines; what is not known of a record that cannot be read is null."""
    told = {} if entry.record is None else entry.record.model_dump(mode="json", exclude={"catalogue"})
    names = ("revision", "version", "sha256", "pushed_at", "pushed_by", "reason")
    return {
        "offset": entry.offset,
        **{name: told.get(name) for name in names},
        "refused": entry.refused,
        "in_force": entry is in_force(history),
    }


def in_force(history: History) -> Entry | None:
    """Returns the entry that workers work with, None if there is none."""
    return next((entry for entry in reversed(history.entries) if entry.refused is None), None)


def myself() -> str:
    """Returns who runs this, as far as the machine knows: a claim, no proof."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


@contextmanager
def _in_file(catalogue: Catalogue | None) -> Iterator[Path | None]:
    """Yields a file with the catalogue, as settings name one; JSON is YAML."""
    if catalogue is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "catalogue.yaml"
        file.write_text(json.dumps(catalogue.model_dump(mode="json", by_alias=True)))
        yield file
