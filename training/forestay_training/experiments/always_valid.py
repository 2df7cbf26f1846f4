"""Intervals that may be looked at all the time: asymptotic confidence sequences.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence
sequences (arXiv 2103.06476v7), equation 9, for a difference of means as GrowthBook computes it: the intervals of all
sample sizes together hold the truth with chance 1 - alpha.
"""

import math


def tuning(users: float, alpha: float) -> float:
    """Returns the parameter rho that makes the sequence narrowest when `users` are in (eq. 161 there)."""
    return math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / users)


def half_width(standard_error: float, users: int, alpha: float, narrowest_at: float) -> float:
    """Returns half the width of the interval of an effect with this standard error, estimated from `users` in all."""
    grown = users * tuning(narrowest_at, alpha) ** 2
    # Eq. 9 has the standard deviation of one observation, standard_error * sqrt(users), over sqrt(users).
    return standard_error * math.sqrt(2 * (grown + 1) / grown * math.log(math.sqrt(grown + 1) / alpha))
