"""What a gate says of a candidate."""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """Passed, refused, or not judged for want of something."""

    PASSED = "passed"
    REFUSED = "refused"
    UNJUDGED = "not judged"


class Verdict(NamedTuple):
    """One gate's answer."""

    gate: str
    outcome: Outcome
    words: str
    #: Refused for good: such a version could not be served, or no worker would take it.
    final: bool = False


def judged(gate: str, faults: list[str], otherwise: str) -> Verdict:
    """Returns a verdict: refused for the faults named, or passed in the words of `otherwise`."""
    return Verdict(gate, Outcome.REFUSED, "; ".join(faults)) if faults else Verdict(gate, Outcome.PASSED, otherwise)
