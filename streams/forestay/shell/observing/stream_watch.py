"""The watch of one worker: a tally a partition, one reference, and a line in the log when an alarm begins or ends."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Final

from forestay.core.applied import Applied
from forestay.core.decision.answer import Answer
from forestay.core.errors import ConfigurationError
from forestay.core.event import NEVER
from forestay.core.watch.alarms import Alarms
from forestay.core.watch.findings import Finding, Judged, judge
from forestay.core.watch.learning import Learning
from forestay.core.watch.reference import Reference
from forestay.core.watch.tally import Tally, rows_of
from forestay.core.watch.words import told
from forestay.settings import WatchSettings
from forestay.shell.web import Answer as Page

logger = logging.getLogger(__name__)

#: Least seconds between two judgements (a millisecond each): a replay begins a minute of event time with each batch.
_LEAST_SECONDS: Final = 1.0


class StreamWatch:
    """Takes batches of all partitions of a worker, and judges once a minute of event time."""

    def __init__(
        self,
        settings: WatchSettings,
        declared: Callable[[], str | None],
        owned: Callable[[], Collection[int]],
    ) -> None:
        """`declared`: the reference of the model that answers, if it has one; `owned`: partitions at work.

        Raises:
            ConfigurationError: the settings name a reference that is none.
        """
        self._declared = declared
        self._owned = owned
        self._own = None if settings.reference is None else read_reference(settings.reference)
        self._first_rows = settings.first_rows
        self._text: str | None = None
        self._learning: Learning | None = None
        self._tallies: dict[int, Tally] = {}
        self._next = 0.0
        self._clock = NEVER
        self._alarms = Alarms()
        #: Alarms that have begun, by what is watched.
        self.begun: Counter[tuple[str, str]] = Counter()
        self.reference: Reference | None = None
        self.judged = judge([], None)
        self._refer(self._own)

    def take(self, partition: int, clock: int, applied: Applied, answers: dict[str, Answer]) -> None:
        """Takes in a batch of a partition that ended at `clock` (event time, milliseconds)."""
        tally = self._tallies.get(partition)
        if tally is None:
            tally = self._tallies[partition] = Tally(self.reference)
        rows = rows_of(applied.situations, [answers.get(one.decision_id) for one in applied.situations])
        begun = tally.take(clock, applied.seen, rows)
        self._clock = max(self._clock, clock)
        if self._learning is not None:
            self._learn(self._learning, rows)
        if begun and time.monotonic() >= self._next:
            self.look()

    def _learn(self, learning: Learning, rows: list[Any]) -> None:
        learning.take(rows)
        if learning.is_done:
            self._learning = None
            logger.info("drift is watched against the first %d scores", learning.rows)
            self._begin(Reference(learning.reference()))

    def look(self) -> Judged:
        """Judges what there is by now; alarms that begin or end are logged once."""
        self._next = time.monotonic() + _LEAST_SECONDS
        owned = self._owned()
        self._tallies = {number: tally for number, tally in self._tallies.items() if number in owned}
        self._follow_model()
        self.judged = judge(list(self._tallies.values()), self.reference)
        turned = self._alarms.take(self._clock, self.judged.findings)
        for finding in turned.begun:
            self.begun[finding.watch, finding.of] += 1
            logger.warning("alarm: %s", told(finding))
        for name in turned.over:
            logger.info("alarm over: %s", name)
        return self.judged

    @property
    def alarms(self) -> list[Finding]:
        """Returns the findings that are alarms, or were a short while ago."""
        return [one for one in self.judged.findings if one.name in self._alarms.on]

    def _follow_model(self) -> None:
        """Takes the reference of another model, unless the settings name one."""
        text = self._declared()
        if self._own is not None or text == self._text:
            return
        self._text = text
        try:
            self._refer(None if text is None else Reference(text))
        except ConfigurationError as error:
            logger.warning("drift is not watched: %s", error)
            self._refer(None)

    def _refer(self, reference: Reference | None) -> None:
        """Begins with a reference; what is learned stands in for none, and for one of users who were not scored."""
        wanted = self._first_rows and (reference is None or reference.moments == "cutoffs")
        self._learning = Learning(self._first_rows) if wanted else None
        self._begin(reference)

    def _begin(self, reference: Reference | None) -> None:
        self.reference = reference
        self._alarms.forget()
        for tally in self._tallies.values():
            tally.refer(reference)

    def page(self) -> Page:
        """Answers what is watched, and what of it is an alarm."""
        judged, reference = self.look(), self.reference
        windows = judged.returns
        return Page(
            True,
            {
                "alarms": [told(one) for one in self.alarms],
                "reference": None if reference is None else {"moments": reference.moments, "users": reference.users},
                "learning": None if self._learning is None else self._learning.rows,
                "findings": [one._asdict() for one in judged.findings],
                "returns": {name: round(value, 3) for name, value in windows._asdict().items()},
                "expected_auc": judged.expected_auc,
                "expected_brier": judged.expected_brier,
            },
        )


def read_reference(path: Any) -> Reference:
    """Returns the reference in a file.

    Raises:
        ConfigurationError: it cannot be read, or is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"watch.reference: {path} cannot be read: {error}") from error
    try:
        return Reference(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
