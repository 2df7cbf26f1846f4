"""Runs a recording through the core, with no broker and no server, and writes down all that comes out."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Final, NamedTuple

from support.fakes import hashing_model

from forestay.catalogue_file import load_catalogue
from forestay.core.decision.ladder import ModelIdentity
from forestay.core.partition import Partition, Sources
from forestay.core.record import OutputRecord, SourceRecord
from forestay.core.rules import Rules
from forestay.core.units import DAY, to_datetime
from forestay.recording import open_recording
from forestay.settings import DEFAULT_CATALOGUE
from forestay_schemas import ClockRecord

FOLDER: Final = Path(__file__).parents[1] / "replay"
RECORDING: Final = FOLDER / "shop.jsonl"
SOURCES: Final = Sources("clickstream", "forestay-clock", "forestay-identity")
#: Silence after the last record, told by one clock record a partition.
QUIET: Final = 40 * DAY


class Outcome(NamedTuple):
    """What came out, a JSON text a record, in the order of partitions and of offsets."""

    decisions: list[str]
    actions: list[str]
    dead_letters: list[str]

    def texts(self) -> dict[str, str]:
        """The golden files by name."""
        return {f"{name}.jsonl": "".join(f"{line}\n" for line in lines) for name, lines in self._asdict().items()}


def replayed(path: Path = RECORDING, batch: int = 500) -> Outcome:
    """Replays the recording in batches of `batch`, with a model whose answers are a hash of its input."""
    partitions: dict[int, list[SourceRecord]] = defaultdict(list)
    last = 0
    for message in open_recording(path):
        partitions[message.partition].append(message)
        last = max(last, message.timestamp)
    outcome = Outcome([], [], [])
    for number, records in sorted(partitions.items()):
        value = ClockRecord(ts=to_datetime(last + QUIET)).model_dump_json().encode()
        clock = SourceRecord(SOURCES.clock, number, 0, last + QUIET, None, value)
        _work_off(number, [records, [clock]], batch, outcome)
    return outcome


def _work_off(number: int, sources: list[list[SourceRecord]], batch: int, outcome: Outcome) -> None:
    rules = Rules(currency="GBP", dead_letter_limit=1.0)
    core = Partition(number, SOURCES, rules, load_catalogue(DEFAULT_CATALOGUE))
    answer = hashing_model("replay")
    model = ModelIdentity("golden", "1", 60)
    for records in sources:
        for start in range(0, len(records), batch):
            applied = core.apply(records[0].topic, records[start : start + batch])
            scores = {s.decision_id: p for s in applied.situations if (p := answer(s.input)) is not None}
            settled = core.settle(applied.situations, scores, model)
            outcome.decisions.extend(decision.model_dump_json() for decision in settled.decisions)
            outcome.actions.extend(action.model_dump_json() for action in settled.actions)
            outcome.dead_letters.extend(_readable(letter) for letter in applied.dead_letters)


def _readable(letter: OutputRecord) -> str:
    headers = {name: (content or b"").decode() for name, content in letter.headers if name.startswith("forestay-")}
    return json.dumps(headers, sort_keys=True)
