"""A rerun by the ledger, from settings."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from forestay.configuration import load_configuration
from forestay.core.errors import ConfigurationError
from forestay.rerun.catalogues import Catalogues
from forestay.rerun.checked_scores import CheckedScores
from forestay.rerun.divergence import Divergence, DivergenceFoundError
from forestay.rerun.job import Tell, Way, kinds, plan_of
from forestay.rerun.ledger_run import LedgerRun, Taken
from forestay.rerun.outputs import Digest, Digests, Kind, Sink, Tee
from forestay.rerun.reading import Recordings
from forestay.rerun.recorded_outputs import RecordedOutputs
from forestay.rerun.registry import prepared
from forestay.rerun.triton_scores import TritonScores
from forestay.rerun.verdict import Judge
from forestay.settings import Settings


class Verified(NamedTuple):
    """What a rerun by the ledger found; without a divergence, everything is as recorded to the byte.

    `asked` scores were asked of the model again, and were off by `largest` at most. `untold` offsets of the
    clickstream were recorded and not compared, for the ledger tells nothing of them; None after a divergence, which
    ends the rerun before it is known.
    """

    taken: Taken
    seconds: float
    made: dict[Kind, Digest]
    asked: int
    largest: float
    divergence: Divergence | None
    untold: int | None


def rerun_by_ledger(
    settings: Settings,
    recordings: Recordings,
    way: Way,
    tolerance: float,
    *,
    sinks: Sequence[Sink] = (),
    tell: Tell = lambda _done: None,
) -> Verified:
    """Makes every batch again, and compares it.

    Raises:
        ConfigurationError: a topic that is needed was not recorded.
        ForestayError: a recording is damaged, or the ledger does not begin with the state.
    """
    began = time.monotonic()
    topics = settings.topics
    for topic in (topics.ledger, topics.decisions):
        if topic not in recordings.topics:
            raise ConfigurationError(
                f"the recordings hold no {topic}, only {', '.join(recordings.topics) or 'nothing'}: a rerun by the"
                f" ledger needs {topics.clickstream}, {topics.clock}, {topics.identity}, {topics.decisions} and"
                f" {topics.ledger}, and {topics.budget} where they move; {topics.actions} is compared if it is there"
            )
    divergence = None
    with ExitStack() as stack:
        again = stack.enter_context(TritonScores(settings.triton)) if way == "triton" else None
        scores, digests = CheckedScores(again, tolerance), Digests()
        plan, prepare = stack.enter_context(prepared(settings, plan_of(settings, recordings)))
        outputs = RecordedOutputs(recordings, topics, scores.book)
        configuration = load_configuration(settings)
        catalogues = Catalogues(recordings, topics.catalogue, configuration)
        judge = Judge(recordings, kinds(topics), outputs, scores, configuration.digest, others=catalogues.digests)
        run = LedgerRun(recordings, plan, topics, scores, judge, Tee(digests, *sinks), prepare, catalogues)
        try:
            run.run(tell)
        except DivergenceFoundError as error:
            divergence = error.found
    seconds = time.monotonic() - began
    untold = _untold(recordings, topics.clickstream, run) if divergence is None else None
    return Verified(run.taken, seconds, digests.found(), scores.asked, scores.largest, divergence, untold)


def _untold(recordings: Recordings, topic: str, run: LedgerRun) -> int:
    spans = [span for recording in recordings.recordings for span in recording.spans if span.topic == topic]
    return sum(
        max(span.last_offset + 1 - max(span.first_offset, run.position(topic, span.partition)), 0) for span in spans
    )
