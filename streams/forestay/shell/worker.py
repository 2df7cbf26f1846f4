"""Running a worker process: settings and catalogue in, an exit code out."""

import asyncio
import sys
from typing import Any

import faust
import uvloop

from forestay.configuration import load_configuration
from forestay.core.errors import ForestayError
from forestay.settings import CatalogueSource, Settings
from forestay.shell.app import RetentionApp
from forestay.shell.memory import settle_memory
from forestay.shell.permissions import Part, check_allowed, needed
from forestay.shell.topics import check_all, check_catalogue, partition_counts


class _Worker(faust.Worker):
    """Faust's worker without the debugger it opens on SIGUSR2: a worker has no terminal."""

    def _on_sigusr2(self) -> None:
        """Does nothing."""


def run(settings: Settings) -> int:
    """Runs a worker until SIGTERM or SIGINT (exit code 0) or a failure (1).

    Raises:
        ConfigurationError: the catalogue or the topics cannot work, or Kafka does not let us do what we must.
        kafka.errors.KafkaError: no broker answers.
    """
    configuration = load_configuration(settings)
    check_allowed(settings.kafka, needed(Part.WORKER, settings))
    counts = partition_counts(settings.kafka, settings.topics.names)
    check_all(counts, settings.topics)
    if settings.worker.catalogue_source is CatalogueSource.TOPIC:
        check_catalogue(settings.kafka, settings.topics)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    settle_memory()
    app = RetentionApp(settings, configuration, counts[settings.topics.clickstream])
    worker = _Worker(
        app,
        loglevel=settings.worker.log_level.upper(),
        logging_config=logging_config(settings.worker.log_level.upper()),
        redirect_stdouts=False,
        loop=loop,
    )
    try:
        # Always ends with SystemExit; what stopped the worker is in the log by then.
        worker.execute_from_commandline()
    except SystemExit as end:
        failure = app.failure or app.crash_reason
        if isinstance(failure, ForestayError):
            # Said once more as the last line, below what Faust tells of its own end.
            print(f"forestay: {failure}", file=sys.stderr)  # noqa: T201
        return int(end.code or 0)


def logging_config(level: str) -> dict[str, Any]:
    """Returns a logging configuration: one line a message on stderr, libraries only when they warn."""
    quiet = {"level": max(level, "WARNING", key=["DEBUG", "INFO", "WARNING", "ERROR"].index)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": dict.fromkeys(("aiokafka", "faust", "mode", "kafka"), quiet),
    }
