"""A catalogue put on its topic: checked as a worker would, and only if nobody was quicker."""

from datetime import UTC, datetime
from typing import NamedTuple

from forestay.catalogues.history import History
from forestay.catalogues.record import record_of
from forestay.configuration import check_memory
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ForestayError
from forestay.core.rules import Rules
from forestay.settings import Settings
from forestay.shell.catalogues import PARTITION, CatalogueReader
from forestay.shell.permissions import WRITE, Part, check_allowed, needed
from forestay.shell.publisher import KafkaPublisher, PublishError
from forestay.shell.topics import check_catalogue
from forestay.trigger_file import load_triggers


class Said(NamedTuple):
    """Who pushes, and why."""

    by: str
    reason: str


def check_topic(settings: Settings, *, write: bool) -> None:
    """Makes sure that the topic is there and may be read, and written where asked for.

    Raises:
        ConfigurationError: it is not there, or has more than one partition.
        AccessError: Kafka does not allow it.
        kafka.errors.KafkaError: no broker answers.
    """
    grants = [grant for grant in needed(Part.CATALOGUE, settings) if write or grant.operation != WRITE]
    check_allowed(settings.kafka, grants)
    check_catalogue(settings.kafka, settings.topics)


async def read_history(settings: Settings) -> History:
    """Returns all that was pushed, judged as a worker with these settings would.

    Raises:
        ForestayError: the topic cannot be read, or the triggers' file.
    """
    history = _history(settings)
    async with CatalogueReader(settings.kafka, settings.topics.catalogue, history) as reader:
        await reader.read_on()
    return history


async def push(settings: Settings, catalogue: Catalogue, said: Said, after: int) -> int:
    """Makes `catalogue` the revision that follows number `after` (0: the first); returns its number.

    Raises:
        ConfigurationError: a worker would not work with it.
        ForestayError: another revision came in between, or the topic cannot be read or written.
    """
    topic, history = settings.topics.catalogue, _history(settings)
    async with (
        CatalogueReader(settings.kafka, topic, history) as reader,
        KafkaPublisher(settings.kafka, settings.worker.barrier_deadline_seconds) as publisher,
    ):
        await reader.read_on()
        if history.revision != after:
            raise _overtaken(history.revision)
        history.check(catalogue)
        now = datetime.now(UTC)
        record = record_of(catalogue, revision=after + 1, pushed_at=now, pushed_by=said.by, reason=said.reason)
        try:
            end = await publisher.publish(topic, PARTITION, [record])
        except PublishError as error:
            raise ForestayError(
                f"whether revision {after + 1} was written is not known: `forestay catalogue history` says; push"
                f" again if it is not there ({error.__cause__ or error})"
            ) from error
        await reader.read_on()
    own = next(entry for entry in history.entries if entry.offset == end - 1)
    if own.refused is not None:
        raise _overtaken(history.revision)
    return after + 1


def _history(settings: Settings) -> History:
    rules: Rules = settings.engine.rules(settings.features, load_triggers(settings.triggers).rules())
    return History(lambda catalogue: check_memory(catalogue, rules))


def _overtaken(revision: int) -> ForestayError:
    return ForestayError(
        f"revision {revision} was pushed meanwhile, and yours counts for nothing: look at what it changed"
        " (`forestay catalogue history`), and push again"
    )
