"""Real state records: what the core keeps of a public data set's users, as the changelog holds it in the end."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from support.datasets import Fed

from forestay.catalogue_file import load_catalogue
from forestay.core.decision.answer import Answer, ModelIdentity
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.sources import Sources
from forestay.core.state.state_codec import MARK_KEY
from forestay.settings import DEFAULT_CATALOGUE, EngineSettings, FeatureSettings
from forestay.trigger_file import DEFAULT_TRIGGERS, load_triggers

SOURCES: Final = Sources("clickstream", "forestay-clock", "forestay-identity", "action-feedback", "forestay-budget")
#: Events from one commit to the next: as many as one worker takes in some 50 ms.
_COMMIT_EVERY: Final = 1_000
#: What stands in for the model says this of everybody: whoever may be sent an action is.
_PROBABILITY: Final = 0.9
_MODEL: Final = ModelIdentity("bench", "1", horizon_days=60)


class Recorded(msgspec.Struct, array_like=True):
    """State records, and the event time of the partition that wrote them (milliseconds)."""

    records: list[bytes]
    clock: int


class Sizes(NamedTuple):
    """How long a set's records are, in bytes."""

    name: str
    users: int
    mean: float
    median: int
    p90: int
    largest: int


def defaults() -> Rules:
    """Returns the rules of a shop that has set nothing: all features, the shipped triggers."""
    return EngineSettings().rules(FeatureSettings(), load_triggers(DEFAULT_TRIGGERS).rules())


def partition(rules: Rules) -> Partition:
    """Returns an empty partition with the shipped catalogue."""
    return Partition(0, SOURCES, rules, load_catalogue(DEFAULT_CATALOGUE))


def recorded(rows: Iterator[Fed]) -> Recorded:
    """Returns the newest record of every user who is known after the events of `rows`, all of one partition."""
    core = partition(defaults())
    kept: dict[bytes, bytes] = {}
    while batch := [row.record for row in itertools.islice(rows, _COMMIT_EVERY)]:
        found = core.apply(SOURCES.clickstream, batch).situations
        core.settle(found, {one.decision_id: Answer(_PROBABILITY, _MODEL) for one in found}, _MODEL)
        for key, value, *_ in core.checkpoint(0, 0):
            if key is not None and value is not None:
                kept[key] = value
            elif key is not None:
                kept.pop(key, None)
    kept.pop(MARK_KEY, None)
    return Recorded([kept[key] for key in sorted(kept)], core.clock)


def sizes(name: str, records: list[bytes]) -> Sizes:
    """Returns mean, median, ninetieth percentile and maximum."""
    lengths = sorted(map(len, records))
    count = len(lengths)
    return Sizes(name, count, sum(lengths) / count, lengths[count // 2], lengths[count * 9 // 10], lengths[-1])


def save(made: Recorded, file: Path) -> None:
    """Writes it for the processes that measure."""
    file.write_bytes(msgspec.msgpack.encode(made))


def load(file: Path) -> Recorded:
    """Reads what `save` wrote."""
    return msgspec.msgpack.decode(file.read_bytes(), type=Recorded)
