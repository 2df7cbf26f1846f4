"""This engine as one that does the job: the product's own worker, set by its own environment variables.

All that the comparison knows of the product stands here: its settings, its commands, its log line, its records.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from forestay.compiled import form
from forestay_bench.errors import EngineMissingError
from forestay_bench.expected import Counted
from forestay_bench.peers import Launch, Peer, Site
from forestay_bench.stream import FIRST_EMITTING, KINDS, rfc3339
from forestay_bench.windows import FULL_WINDOWS, JOB_WINDOWS, SECOND, Window
from forestay_bench.workers import inherited

#: What a worker logs when it holds its partitions and begins to read.
_READY: Final = "worker ready"
_DECLARE_SECONDS: Final = 60


@dataclass(frozen=True)
class Load:
    """What is switched on: `everything`, or only what the peers' job asks for."""

    name: str
    title: str
    windows: tuple[Window, ...]
    everything: bool


SAME_JOB: Final = Load("same_job", "Forestay, the same job", JOB_WINDOWS, everything=False)
FULL: Final = Load("full", "Forestay, the full feature set", FULL_WINDOWS, everything=True)


def engine(load: Load, workers: int = 1) -> Peer:
    """Returns this engine with a load, as a peer among others."""

    def launch(site: Site) -> Launch:
        environment = settings(load, site)
        declare_topics(environment)
        return Launch([sys.executable, "-m", "forestay", "worker"], environment, _READY)

    title = f"{load.title} ({form().name} core)" + (f", {workers} workers" if workers > 1 else "")
    return Peer(f"forestay-{load.name}", title, launch, windows=load.windows, counted=_reader(load), workers=workers)


def settings(load: Load, site: Site) -> dict[str, str]:
    """Returns the worker's settings as its environment variables: all that differs from the product's defaults."""
    values: dict[str, Any] = {
        "kafka.bootstrap_servers": site.bootstrap,
        "kafka.group_id": site.run,
        **_topics(site),
        # Recorded time only: the peers have no clock either.
        "worker.clock": "none",
        # No model in any of the loads.
        "engine.score_on": [],
        "features.emit_on": KINDS[FIRST_EMITTING:],
        "features.emit": emitted(load),
        **(_what_the_job_needs(load, site) if not load.everything else {}),
    }
    return {f"FORESTAY_{name.replace('.', '__')}".upper(): _as_text(value) for name, value in values.items()}


def _what_the_job_needs(load: Load, site: Site) -> dict[str, Any]:
    """Switches off what the peers do not do either: other features, triggers, looking for events sent twice."""
    triggers = site.state / "triggers.yaml"
    triggers.write_text("triggers: []\n")
    windows = [(window.name, window.bucket_ms // SECOND, window.buckets) for window in load.windows]
    return {
        "features.windows": [dict(zip(("name", "bucket_seconds", "buckets"), w, strict=True)) for w in windows],
        # Counts and spend, the last time of each kind, the last events.
        "features.families": ["windows", "recency", "sequence"],
        "engine.deduplicate": False,
        "triggers": str(triggers),
    }


def _topics(site: Site) -> dict[str, str]:
    """Names every topic the product knows after the run, so that it has them for itself."""
    from forestay.settings import TopicSettings  # noqa: PLC0415 # A broken product is a message, not a traceback.

    roles = [name for name, field in TopicSettings.model_fields.items() if field.annotation is str]
    if "features" not in roles:
        raise EngineMissingError("the worker has no topic for features yet (topics.features)")
    names = {role: f"{site.run}-{role.replace('_', '-')}" for role in roles}
    names |= {"clickstream": site.source, "features": site.output, "state": f"{site.run}-state-changelog"}
    return {f"topics.{role}": name for role, name in names.items()}


def emitted(load: Load) -> list[str]:
    """Returns the names of the features an output record holds."""
    names = [f"{kind}_count_{window.name}" for window in load.windows for kind in KINDS]
    return names + [f"spend_{window.name}" for window in load.windows]


def _reader(load: Load) -> Callable[[Mapping[str, Any]], Counted]:
    """Returns what reads a record: {"user_id", "ts": milliseconds, "features": {name: value}}, money in units."""

    def counted(record: Mapping[str, Any]) -> Counted:
        values = record["features"]
        counts = {w.name: tuple(int(values[f"{kind}_count_{w.name}"]) for kind in KINDS) for w in load.windows}
        spend = {w.name: round(values[f"spend_{w.name}"] * 100) for w in load.windows}
        return Counted(rfc3339(record["ts"]), counts, spend)

    return counted


def declare_topics(environment: dict[str, str]) -> None:
    """Makes the topics of these settings.

    Raises:
        EngineMissingError: the product refuses.
    """
    command = [sys.executable, "-m", "forestay", "topics", "declare"]
    done = subprocess.run(  # noqa: S603
        command, env=inherited() | environment, capture_output=True, text=True, timeout=_DECLARE_SECONDS, check=False
    )
    if done.returncode != 0:
        raise EngineMissingError(f"`forestay topics declare` refuses its settings:\n{done.stdout}{done.stderr}")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
