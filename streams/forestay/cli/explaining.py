"""Explains decisions from files or from the broker, for a person who reads or for a machine."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, print_json, printable
from forestay.cli.progress import progress
from forestay.cli.tailing import Tail
from forestay.core.errors import ForestayError
from forestay.recording.values import record_values
from forestay.settings import Settings
from forestay.why.explanation import explain
from forestay.why.finding import Asked, find
from forestay.why.words import told

_EVERY = 10_000


def tell_why(settings: Settings, asked: Asked, log: Sequence[Path], catalogue: Path | None, *, as_json: bool) -> None:
    """Prints the explanations, oldest first.

    Raises:
        ForestayError: nothing asked for is there, a record or the catalogue is wrong.
        OSError: a file cannot be read.
        kafka.errors.KafkaError: no broker answers.
    """
    shop = load_catalogue(catalogue or settings.catalogue)
    found = find(asked, _counted(record_values(log) if log else _on_topics(settings)))
    if not found.decisions:
        what = f"decision {asked.decision_id}" if asked.decision_id else f"decision on user {asked.user_id}"
        where = ", ".join(map(str, log)) or f"the topic {settings.topics.decisions}"
        raise ForestayError(f"there is no {what} in {where}: name another --log, or another broker")
    explanations = [explain(decision, outcome, shop) for decision, outcome in found.decisions]
    if as_json:
        print_json({"decisions": explanations})
        return
    for number, one in enumerate(explanations):
        if number:
            console().print()
        for line in told(one):
            console().print(printable(line), soft_wrap=True)


def _on_topics(settings: Settings) -> Iterator[tuple[str, bytes]]:
    """Yields what lies on the topics of decisions and outcomes, up to the ends there are now."""
    for record in chain.from_iterable(
        Tail(settings.kafka, topic, from_start=True, follow=False, limit=None).records()
        for topic in (settings.topics.decisions, settings.topics.outcomes)
    ):
        if record.value is not None:
            yield f"{record.topic}-{record.partition} at {record.offset}", record.value


def _counted(values: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    with progress() as tell:
        for number, value in enumerate(values):
            if number % _EVERY == 0:
                tell("records", number, None)
            yield value
