"""The course of a watch: alarms from begin to end, and what each day was like."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from forestay.core.units import DAY
from forestay.core.watch.alarms import Alarms
from forestay.core.watch.findings import Finding, Judged
from forestay.core.watch.returns import Windows
from forestay.core.watch.words import told

NO_WINDOWS: Final = Windows(0, 0.0, 0.0, 0)


@dataclass
class Alarm:
    """One alarm: what of, when it began and ended (event time, milliseconds; None: it is still on), and its worst."""

    watch: str
    of: str
    began: int
    ended: int | None
    worst: str
    value: float


@dataclass
class Day:
    """One day of event time: the worst finding of each thing watched, and returns as they stood at its end."""

    start: int
    findings: dict[str, Finding] = field(default_factory=dict)
    returns: Windows = NO_WINDOWS


class Line(NamedTuple):
    """One thing watched over all days: its last finding, each day's value and limit (None: too little to tell)."""

    last: Finding
    values: list[float | None]
    limits: list[float | None]
    days_of_alarm: int


class Course:
    """Takes judgements in the order of time."""

    def __init__(self) -> None:
        """Starts empty."""
        self.alarms: list[Alarm] = []
        self.days: list[Day] = []
        self.last: Judged | None = None
        self._moment = 0
        self._turning = Alarms()
        self._on: dict[str, Alarm] = {}

    def take(self, moment: int, judged: Judged) -> None:
        """Takes the judgement at a moment of event time (milliseconds); time never goes back."""
        moment = self._moment = max(moment, self._moment)
        self.last = judged
        start = moment - moment % DAY
        if not self.days or self.days[-1].start < start:
            self.days.append(Day(start))
        day = self.days[-1]
        day.returns = judged.returns
        for finding in judged.findings:
            day.findings[finding.name] = _worse(day.findings.get(finding.name), finding)
        begun, over = self._turning.take(moment, judged.findings)
        for finding in begun:
            alarm = Alarm(finding.watch, finding.of, moment, None, told(finding), finding.value or 0.0)
            self._on[finding.name] = alarm
            self.alarms.append(alarm)
        for finding in judged.alarms:
            self._worsen(self._on[finding.name], finding)
        for name in over:
            self._on.pop(name).ended = moment

    def _worsen(self, alarm: Alarm, finding: Finding) -> None:
        if finding.value is not None and abs(finding.value) > abs(alarm.value):
            alarm.worst, alarm.value = told(finding), finding.value

    def lines(self) -> list[Line]:
        """Returns what was watched, in the order of the last judgement."""
        return [] if self.last is None else [self._line(finding) for finding in self.last.findings]

    def _line(self, last: Finding) -> Line:
        found = [day.findings.get(last.name) for day in self.days]
        return Line(
            last,
            [one and one.value for one in found],
            [one and one.limit for one in found],
            sum(one is not None and one.alarm for one in found),
        )


def _worse(first: Finding | None, second: Finding) -> Finding:
    """Returns the finding that is further beyond its limit; one that tells something before one that does not."""
    return second if first is None or _excess(second) >= _excess(first) else first


def _excess(finding: Finding) -> float:
    if finding.value is None or finding.limit is None:
        return -1.0
    return abs(finding.value) / finding.limit
