"""What may be concluded: nothing without support, and nothing the interval does not bear."""

from typing import Final, NamedTuple

from forestay_training.offpolicy.intervals import Interval
from forestay_training.offpolicy.same_policy import SamePolicy
from forestay_training.offpolicy.support import Support

#: The name of the logging policy's own mean reward in `--at-least`.
LOGGED: Final = "logged"


class Verdict(NamedTuple):
    """`ranked` is whether the log can judge the policy at all; `said` how it stands to the log's own.

    `passed` is whether the gate asked for is passed, None if none was asked for.
    """

    ranked: bool
    said: str
    reasons: list[str]
    passed: bool | None


def verdict(
    found: Support, same: SamePolicy | None, gain: Interval, value: Interval, at_least: float | str | None
) -> Verdict:
    """Concludes from the support, the A/A check and the intervals of gain and value; `at_least` is the gate."""
    reasons = found.lacks()
    if same is not None and not same.propensities_hold:
        reasons.append(
            f"the log chose {same.propensity_action} otherwise than its propensities say"
            f" (z = {same.propensity_z:+.1f}): they cannot be trusted"
        )
    elif same is not None and not same.passed:
        reasons.append(
            f"the A/A check fails (z = {same.model_z:+.1f}): the log's own policy is not valued at what it earned"
        )
    if not gain.low <= gain.high:
        reasons.append("too few decisions of the policy for an interval")
    if reasons:
        return Verdict(ranked=False, said="not ranked", reasons=reasons, passed=None if at_least is None else False)
    said = "better" if gain.low > 0 else "worse" if gain.high < 0 else "undecided"
    if at_least is None:
        return Verdict(ranked=True, said=said, reasons=[], passed=None)
    passed = gain.low > 0 if at_least == LOGGED else value.low >= float(at_least)
    return Verdict(ranked=True, said=said, reasons=[], passed=passed)
