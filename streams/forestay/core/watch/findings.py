"""The judgement: sums of all partitions against the reference, and what of it is an alarm."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from forestay.core.watch.fields import LEAST_DIFFERENCE, shares
from forestay.core.watch.reference import Reference
from forestay.core.watch.returns import TWO_SIDED, Windows, quality, windows_of
from forestay.core.watch.stability import LEAST_PSI, psi, psi_by_chance
from forestay.core.watch.tally import Tally

#: Rows below which shares of ten bins say nothing.
LEAST_ROWS: Final = 200


class Finding(NamedTuple):
    """One thing watched. `value` is compared with `limit`; either is None where there is too little to tell.

    `watch`: `psi`, `missing`, `repeated` or `returns`; `of`: a column, a field, or `24h`. `rows`: rows, events or
    windows behind it. `usual`: what the value is a change from, where it is one.
    """

    watch: str
    of: str
    value: float | None
    limit: float | None
    rows: int
    alarm: bool
    usual: float | None = None

    @property
    def name(self) -> str:
        """Names it for people and for sets of alarms."""
        return f"{self.watch} of {self.of}"


class Judged(NamedTuple):
    """All findings, the windows of returns, and the AUC and Brier score answers promise if they are calibrated."""

    findings: list[Finding]
    returns: Windows
    expected_auc: float | None
    expected_brier: float | None

    @property
    def alarms(self) -> list[Finding]:
        """Returns the findings that are alarms."""
        return [one for one in self.findings if one.alarm]


def judge(tallies: Sequence[Tally], reference: Reference | None) -> Judged:
    """Returns what the tallies of one reference show together; fields that are broken are told to them."""
    windows = windows_of(np.sum([tally.returns.sums for tally in tallies], axis=0) if tallies else np.zeros(4))
    findings = [*_fields(tallies), _returns(windows)]
    if reference is not None and tallies:
        findings += _drift(tallies, reference)
    promised = quality(np.sum([tally.scores for tally in tallies], axis=0)) if tallies else None
    return Judged(findings, windows, *(promised or (None, None)))


def _drift(tallies: Sequence[Tally], reference: Reference) -> Iterator[Finding]:
    """Yields the PSI of every column; against rows at cutoffs it is no alarm.

    Users are scored when they act, or fall silent: who is scored is another population than who is there at a cutoff.
    """
    totals = np.sum([tally.rows for tally in tallies], axis=0)
    for column, expected, own in zip(reference.columns, reference.counts, totals, strict=True):
        counts = own[: column.bins]
        rows = float(counts.sum())
        if rows < LEAST_ROWS:
            yield Finding("psi", column.name, None, None, round(rows), alarm=False)
            continue
        value = psi(counts, expected)
        independent = min(float(reference.users), float(expected.sum()))
        limit = max(LEAST_PSI, psi_by_chance(column.bins, rows, independent))
        alarm = reference.moments == "scored" and value > limit
        yield Finding("psi", column.name, value, limit, round(rows), alarm)


def _fields(tallies: Sequence[Tally]) -> Iterator[Finding]:
    found = shares([tally.fields for tally in tallies])
    for at, ((field, trouble), share) in enumerate(found.items()):
        limit = None if share.usual is None else share.usual + LEAST_DIFFERENCE
        broken = share.is_broken
        for tally in tallies:
            tally.fields.frozen[at % 2, at // 2] = broken
        yield Finding(trouble, field, share.seen, limit, share.events, broken, share.usual)


def _returns(windows: Windows) -> Finding:
    deviations = windows.deviations
    limit = None if deviations is None else TWO_SIDED
    return Finding("returns", "24h", deviations, limit, windows.closed, windows.is_off)
