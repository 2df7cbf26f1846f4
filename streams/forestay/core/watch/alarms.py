"""Alarms from begin to end: one that flickers about its limit is one."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from forestay.core.units import DAY, MINUTE
from forestay.core.watch.findings import Finding

#: How long a thing watched must have been well (event time, milliseconds): as long as what it is judged by.
_CALM: Final = {"psi": DAY, "returns": DAY, "missing": 5 * MINUTE, "repeated": 5 * MINUTE}


class Turned(NamedTuple):
    """Findings that have become alarms, and the names of alarms that are over."""

    begun: list[Finding]
    over: list[str]


class Alarms:
    """Which alarms are on."""

    def __init__(self) -> None:
        """Starts with none."""
        #: By name, since when it has been well, None while it is not.
        self._on: dict[str, int | None] = {}

    def take(self, moment: int, findings: Sequence[Finding]) -> Turned:
        """Takes a judgement at a moment of event time; where there is too little to tell, nothing changes."""
        begun, over = [], []
        for finding in findings:
            if finding.alarm:
                if finding.name not in self._on:
                    begun.append(finding)
                self._on[finding.name] = None
            elif finding.name in self._on and finding.value is not None:
                well_since = self._on[finding.name]
                if well_since is None:
                    self._on[finding.name] = moment
                elif moment - well_since >= _CALM[finding.watch]:
                    del self._on[finding.name]
                    over.append(finding.name)
        return Turned(begun, over)

    def forget(self) -> None:
        """Forgets all: what is watched, or against what, is another now."""
        self._on.clear()

    @property
    def on(self) -> frozenset[str]:
        """Returns the names of alarms that are on."""
        return frozenset(self._on)
