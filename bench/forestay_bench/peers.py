"""Who does the job, and how each is started."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay_bench.expected import Counted
from forestay_bench.installs import classpath_of, python_of
from forestay_bench.paths import BENCH
from forestay_bench.windows import JOB_WINDOWS, Window

_OPENED: Final = ("java.util", "java.lang", "java.time", "java.nio")


class Site(NamedTuple):
    """Where a run takes place: topics of its own, `run` in the name of each, and an empty folder for state."""

    bootstrap: str
    run: str
    source: str
    output: str
    state: Path
    events: int


class Launch(NamedTuple):
    """How a worker is started.

    `ready` is what a worker logs when it begins to read, for one that does not say how far it is by MARK lines.
    """

    command: list[str]
    environment: dict[str, str]
    ready: str | None = None


def _job_counted(record: Mapping[str, Any]) -> Counted:
    """Reads an output record of the peers' own shape."""
    names = [window.name for window in JOB_WINDOWS]
    counts = {name: tuple(record[f"c{name}"]) for name in names}
    return Counted(record["ts"], counts, {name: record[f"s{name}"] for name in names})


@dataclass(frozen=True)
class Peer:
    """One that does the job (`emits`), or only reads (a reference)."""

    name: str
    title: str
    launch: Callable[[Site], Launch]
    emits: bool = True
    windows: tuple[Window, ...] = JOB_WINDOWS
    counted: Callable[[Mapping[str, Any]], Counted] = _job_counted
    most_events: int | None = None
    workers: int = 1


def _environment(site: Site) -> dict[str, str]:
    values = {"BOOTSTRAP": site.bootstrap, "RUN": site.run, "INPUT": site.source, "OUTPUT": site.output}
    values |= {"STATE": str(site.state), "EVENTS": str(site.events)}
    return {f"BENCH_{name}": value for name, value in values.items()}


def _python(environment: str, script: str) -> Callable[[Site], Launch]:
    def launch(site: Site) -> Launch:
        return Launch([str(python_of(environment)), str(BENCH / "python" / script)], _environment(site))

    return launch


def _java(engine: str, main: str, *options: str) -> Callable[[Site], Launch]:
    def launch(site: Site) -> Launch:
        logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        command = ["java", "-Xmx3g", *options, logging, "-cp", classpath_of(engine), main]
        return Launch(command, _environment(site))

    return launch


REFERENCE: Final = Peer(
    "aiokafka", "aiokafka + orjson, no state", _python("reference", "aiokafka_reference.py"), emits=False
)
KAFKA_STREAMS: Final = Peer(
    "kafka-streams", "Kafka Streams 4.1, RocksDB, cached", _java("kafka_streams", "KafkaStreamsJob")
)
STOCK_FAUST: Final = Peer(
    "faust", "stock Faust 0.15.3 with a Table", _python("faust", "stock_faust.py"), most_events=100_000
)
FLINK: Final = Peer(
    "flink",
    "Flink 2.2, heap state",
    _java("flink", "FlinkJob", *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED)),
)
#: Those that run when they are asked for.
ON_REQUEST: Final = {
    peer.name: peer
    for peer in (
        FLINK,
        Peer(
            "librdkafka",
            "librdkafka + orjson, no state",
            _python("reference", "librdkafka_reference.py"),
            emits=False,
        ),
        Peer("plain", "plain Python loop, no restore", _python("reference", "plain_loop.py")),
        Peer("quix", "Quix Streams 3.28", _python("quix", "quix_streams.py")),
        Peer("bytewax", "Bytewax 0.21", _python("bytewax", "bytewax_flow.py")),
        Peer("pathway", "Pathway 0.33", _python("pathway", "pathway_flow.py")),
    )
}
