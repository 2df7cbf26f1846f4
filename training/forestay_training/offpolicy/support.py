"""What a log can say of a policy at all: before an estimate is believed, these are to be looked at."""

from typing import Final, NamedTuple

import numpy as np

from forestay_training.offpolicy.log import Log, Matrix

#: Below this share of effective decisions, or with more of the policy untried, nothing is ranked.
LEAST_EFFECTIVE: Final = 0.05
#: Below so many a bootstrap has not met what is rare, and its intervals are too narrow.
LEAST_DECISIONS: Final = 200
LARGEST_GAP: Final = 0.01
#: A policy whose untried offers are told by name, the largest first.
_TOLD: Final = 5


class Support(NamedTuple):
    """How much of the log counts for a policy, and how much of the policy the log has never tried.

    `effective` is Kish's effective sample size (sum w)^2 / sum w^2 in decisions; `gap` the share of the policy's
    choices that had no chance in the log; `untried` that share by action.
    """

    effective: float
    share: float
    largest_weight: float
    mean_weight: float
    least_propensity: float
    gap: float
    untried: dict[str, float]

    def lacks(self) -> list[str]:
        """Returns why nothing may be concluded; empty if it may."""
        reasons = []
        if self.share < LEAST_EFFECTIVE:
            reasons.append(
                f"only {self.share:.1%} of the decisions count (effective sample size {self.effective:,.0f}), and"
                f" {LEAST_EFFECTIVE:.0%} are asked for: the policy chooses what the log seldom chose"
            )
        if self.effective < LEAST_DECISIONS:
            reasons.append(
                f"the effective sample size is {self.effective:,.0f} decisions, and {LEAST_DECISIONS} are asked for:"
                " a longer log is needed"
            )
        if self.gap > LARGEST_GAP:
            what = ", ".join(f"{name} {share:.1%}" for name, share in self.untried.items())
            reasons.append(
                f"{self.gap:.1%} of the policy's choices had no chance in the log ({what}), and {LARGEST_GAP:.0%} is"
                " allowed: let the log explore them, or try them in an experiment"
            )
        return reasons


def support(log: Log, target: Matrix) -> Support:
    """Returns the support of the policy `target` (N, A)."""
    weights = log.weights(target)
    squares = float(weights @ weights)
    effective = float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
    untried = np.where(log.tried, 0.0, target).mean(axis=0)
    largest = np.argsort(-untried, kind="stable")[:_TOLD]
    return Support(
        effective=effective,
        share=effective / len(weights),
        largest_weight=float(weights.max()),
        mean_weight=float(weights.mean()),
        least_propensity=float(log.propensity.min()),
        gap=float(untried.sum()),
        untried={log.actions[number]: float(untried[number]) for number in largest if untried[number] > 0},
    )
