"""A rerun from settings: what it needs is opened, and what it made is counted."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from forestay.configuration import load_configuration
from forestay.core.errors import ConfigurationError
from forestay.core.record import SourceRecord
from forestay.core.units import DAY
from forestay.recording import RecordingError, RecordingMetadata
from forestay.recording.output import FileOutput
from forestay.rerun.event_time import EventTime, Observe
from forestay.rerun.lane import Plan
from forestay.rerun.outputs import Digest, Digests, Kind, Sink, Tee, Writing
from forestay.rerun.reading import Recordings
from forestay.rerun.registry import prepared
from forestay.rerun.scores import NoScores, ScoreBook, Scores
from forestay.rerun.triton_scores import TritonScores
from forestay.settings import Settings, TopicSettings
from forestay.shell.placement import Placement

#: Where scores come from.
Way = Literal["recorded", "triton", "none"]
#: Called with how many rows are done.
Tell = Callable[[int], None]
#: Rows between two calls of `Tell`.
_STEP: Final = 5_000


class Ran(NamedTuple):
    """What a rerun did: rows taken, seconds it took, what came out by kind, and how scores were found."""

    records: int
    seconds: float
    made: dict[Kind, Digest]
    scores: dict[str, int]


def kinds(topics: TopicSettings) -> dict[Kind, str]:
    """Returns the topic of each kind."""
    return {kind: getattr(topics, kind) for kind in Kind}


@contextmanager
def written(out: Path, settings: Settings, recordings: Recordings) -> Iterator[Sink]:
    """Yields what writes a recording, `.parquet` or `.jsonl`, of all that is made; it appears whole or not at all.

    Raises:
        RecordingError: the file is there already, or there is no room.
    """
    count = recordings.partitions(settings.topics.clickstream)
    names = kinds(settings.topics)
    sources = [recording.metadata for recording in recordings.recordings]
    metadata = RecordingMetadata(
        description="Made by a rerun",
        credit="; ".join(sorted({source.credit for source in sources if source.credit})),
        licence=" AND ".join(sorted({source.licence for source in sources if source.licence})),
        partitions=dict.fromkeys(names.values(), count),
        properties={"rerun_of": [recording.digest for recording in recordings.recordings]},
    )
    with FileOutput(out, lambda _positions: metadata) as output:
        yield Writing(output, names)
        output.finish()


def plan_of(settings: Settings, recordings: Recordings) -> Plan:
    """Returns what partitions are made of by the settings; the recordings say how many there are.

    Raises:
        ConfigurationError: the catalogue or the triggers cannot work, or the clickstream is not in the recordings.
    """
    topics = settings.topics
    partitions = recordings.partitions(topics.clickstream)
    if topics.clickstream not in recordings.topics:
        raise ConfigurationError(
            f"the recordings hold no {topics.clickstream}, only {', '.join(recordings.topics) or 'nothing'}: name the"
            " topic of the events with --set topics.clickstream=NAME"
        )
    configuration = load_configuration(settings)
    place = Placement(topics.partitioner, partitions).partition
    return Plan(topics.sources, configuration.rules, configuration.catalogue, place, partitions=partitions)


@contextmanager
def scores_by(way: Way, settings: Settings, recordings: Recordings, *, embedding: bool = False) -> Iterator[Scores]:
    """Yields what gives scores; with `embedding` a model that is asked tells the users' too.

    Raises:
        ConfigurationError: recorded ones are asked for, and there are none; or the model expects another input.
    """
    if way == "triton":
        with TritonScores(settings.triton, embedding=embedding) as scores:
            yield scores
    elif way == "recorded":
        yield book_of(recordings, settings.topics.decisions, NoScores())
    else:
        yield NoScores()


def book_of(recordings: Recordings, topic: str, beyond: Scores) -> ScoreBook:
    """Returns the scores of the recorded decisions.

    Raises:
        ConfigurationError: none were recorded.
        RecordingError: one cannot be read.
    """
    if topic not in recordings.topics:
        raise ConfigurationError(
            f"the recordings hold no {topic}, so no scores: name a recording of that topic too, ask the model again"
            " with --scores triton, or decide without it with --scores none"
        )
    book = ScoreBook(beyond)
    for row in recordings.rows([topic]):
        try:
            book.add(row.value or b"")
        except msgspec.DecodeError as error:
            raise RecordingError(f"{topic}-{row.partition}@{row.offset} is no decision: {error}") from error
    return book


def rerun(
    settings: Settings,
    recordings: Recordings,
    scores: Scores,
    *,
    quiet_days: float = 0,
    sinks: Sequence[Sink] = (),
    tell: Tell = lambda _done: None,
    observe: Observe | None = None,
) -> Ran:
    """Runs the recordings through the core in the order of their time.

    `quiet_days` of silence after the last row are told to every partition. `observe` is told of batches.

    Raises:
        ForestayError: a recording is damaged, no scores are to be had, or too many records fail.
    """
    began = time.monotonic()
    plan, digests = plan_of(settings, recordings), Digests()
    topics = [plan.sources.clickstream, plan.sources.clock, plan.sources.feedback]
    with prepared(settings, plan) as (plan, prepare):
        run = EventTime(plan, scores, Tee(digests, *sinks), prepare=prepare, observe=observe)
        run.run(_telling(recordings.rows(topics), tell))
        if quiet_days:
            until = recordings.last_timestamp(topics) + round(quiet_days * DAY)
            run.tell(until, range(recordings.partitions(plan.sources.clickstream)))
    found = {}
    if isinstance(scores, ScoreBook):
        found = {"found": scores.found, "missing": scores.missing, "other_input": scores.other_input}
    return Ran(run.records, time.monotonic() - began, digests.found(), found)


def _telling(rows: Iterator[SourceRecord], tell: Tell) -> Iterator[SourceRecord]:
    for number, row in enumerate(rows):
        if number % _STEP == 0:
            tell(number)
        yield row
