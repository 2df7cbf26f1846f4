"""Runs a recording through the core, with no broker and no server, and keeps all that comes out."""

import json
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple

from support.fakes import hashing_model
from support.rerunning import Kept

from forestay.catalogue_file import load_catalogue
from forestay.core.decision.answer import ModelIdentity
from forestay.core.record import OutputRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay.rerun.event_time import ROWS, EventTime
from forestay.rerun.lane import Plan
from forestay.rerun.outputs import Kind
from forestay.rerun.readable import field_changes
from forestay.rerun.reading import Recordings
from forestay.rerun.scores import ModelScores
from forestay.settings import DEFAULT_CATALOGUE, TopicSettings
from forestay.shell.placement import Placement

FOLDER: Final = Path(__file__).parents[1] / "replay"
RECORDING: Final = FOLDER / "shop.jsonl"
#: Silence after the last record, told by one clock record a partition.
QUIET: Final = 40 * DAY
#: Lines of which a difference tells the fields.
_SHOWN: Final = 5


class Outcome(NamedTuple):
    """What came out, a JSON text a record, in the order of partitions and of offsets."""

    decisions: list[str]
    actions: list[str]
    dead_letters: list[str]

    def texts(self) -> dict[str, str]:
        """The golden files by name."""
        return {f"{name}.jsonl": "".join(f"{line}\n" for line in lines) for name, lines in self._asdict().items()}


def replayed(path: Path = RECORDING, rows: int = ROWS) -> Outcome:
    """Replays the recording, `rows` taken at once, with a model whose answers are a hash of its input."""
    recordings, kept = Recordings([path]), Kept()
    partitions = recordings.partitions("clickstream")
    rules = Rules(currency="GBP", dead_letter_limit=1.0)
    place = Placement("murmur2", partitions).partition
    plan = Plan(TopicSettings().sources, rules, load_catalogue(DEFAULT_CATALOGUE), place)
    scores = ModelScores(hashing_model("replay"), ModelIdentity("golden", "1", 60))
    run = EventTime(plan, scores, kept, rows=rows)
    run.run(recordings.rows(["clickstream"]))
    run.tell(recordings.last_timestamp(["clickstream"]) + QUIET, range(partitions))
    return Outcome(
        [value.decode() for value in kept.values(Kind.DECISIONS)],
        [value.decode() for value in kept.values(Kind.ACTIONS)],
        [_readable(letter) for letter in kept.of(Kind.DEAD_LETTERS)],
    )


def _readable(letter: OutputRecord) -> str:
    headers = {name: (content or b"").decode() for name, content in letter.headers if name.startswith("forestay-")}
    return json.dumps(headers, sort_keys=True)


def readable(golden: list[str], made: list[str]) -> str:
    """Returns what has changed: the first few lines that differ, and of them the fields that do."""
    told = [f"{len(golden)} lines are accepted, {len(made)} were made"] if len(golden) != len(made) else []
    pairs = zip_longest(golden, made)
    different = [(number, *pair) for number, pair in enumerate(pairs, start=1) if pair[0] != pair[1]]
    for number, before, after in different[:_SHOWN]:
        told.append(f"line {number}:")
        changes = field_changes(*(None if line is None else line.encode() for line in (before, after)))
        told.extend(f"  {path}: {old} -> {new}" for path, old, new in changes)
    return "\n".join([*told, f"{len(different)} lines differ"]) if different else ""
