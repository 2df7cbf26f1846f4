"""The recording as the demonstration needs it: how much, from when to when, and what was broken in it."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from forestay.core.errors import ForestayError
from forestay.core.units import to_datetime, to_milliseconds
from forestay.demo.summary import ModelFacts, RecordingFacts, TrainingSplit
from forestay.recording import Recording, open_recording

#: The last part is sent at a steady rate: at most this many events, and at most this share of all.
STEADY_EVENTS: Final = 20_000
_STEADY_SHARE: Final = 5
#: Fewer make no demonstration.
MIN_EVENTS: Final = 1_000


class Shop(NamedTuple):
    """A recording, of which `events` are replayed, the last of them from `steady_from` on at a steady rate.

    `times` are the event times in epoch milliseconds. `broken` and `repeats` count the records that were
    spoilt or repeated on purpose, None where the recording does not tell.
    """

    recording: Recording
    events: int
    steady_from: int
    times: "np.ndarray[Any, np.dtype[np.int64]]"
    broken: int | None
    repeats: int | None

    @property
    def steady_events(self) -> int:
        """Returns how many events are sent at the steady rate."""
        return self.events - self.steady_from

    def facts(self) -> RecordingFacts:
        """Returns what the summary says of the recording."""
        metadata = self.recording.metadata
        return RecordingFacts(
            name=self.recording.path.stem,
            description=metadata.description,
            credit=metadata.credit,
            licence=metadata.licence,
            recorded=len(self.recording),
            events=self.events,
            first=to_datetime(int(self.times.min())),
            last=to_datetime(int(self.times.max())),
        )

    def split(self, model: ModelFacts | None) -> TrainingSplit | None:
        """Returns which part of the replayed events `model` was trained on, None if it does not say."""
        if model is None or model.trained_until is None:
            return None
        until = to_milliseconds(model.trained_until)
        seen = int(np.count_nonzero(self.times < until))
        return TrainingSplit(
            until=model.trained_until,
            seen=seen,
            unseen=self.events - seen,
            steady_part_unseen=bool((self.times[self.steady_from :] >= until).all()),
        )


def open_shop(path: Path, limit: int | None) -> Shop:
    """Opens the recording at `path` for a replay of its first `limit` events, None for all.

    Raises:
        RecordingError: it is none, or damaged.
        ForestayError: it holds too little.
    """
    recording = open_recording(path)
    events = min(limit or len(recording), len(recording))
    if events < MIN_EVENTS:
        raise ForestayError(f"{path} holds {events} events to replay, a demonstration needs {MIN_EVENTS}")
    columns = [batch.column("timestamp").to_numpy() for batch in recording.batches(0, events)]
    notes = recording.metadata.properties.get("notes")
    counted = _notes(notes, events) if notes is not None else None
    return Shop(
        recording=recording,
        events=events,
        steady_from=events - min(STEADY_EVENTS, events // _STEADY_SHARE),
        times=np.concatenate(columns),
        broken=None if counted is None else counted["broken"],
        repeats=None if counted is None else counted["repeat"],
    )


def _notes(notes: list[dict[str, Any]], events: int) -> Counter[str]:
    """Counts what was done on purpose to the rows replayed, by the notes of the recording's maker."""
    return Counter(
        "broken" if str(note["note"]).startswith("broken") else "repeat" for note in notes if note["row"] < events
    )


def model_facts(name: str, parameters: dict[str, str]) -> ModelFacts:
    """Returns what a served model's parameters say.

    Raises:
        ValueError: a parameter is not of its form.
    """
    until = parameters.get("trained_until")
    moment = datetime.fromisoformat(until) if until else None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=to_datetime(0).tzinfo)
    return ModelFacts(
        name=name,
        version=parameters.get("model_version", "unknown"),
        horizon_days=int(parameters.get("horizon_days", 0)),
        trained_until=moment,
    )
