"""Each group beside all others: rates with intervals, and what may be said of their ratio.

The four-fifths rule (29 CFR 1607.4 D) takes a selection rate below 0.8 of another's for unequal. Here a ratio outside
[0.8, 1.25] counts where chance does not explain it: where its interval, which is widened for the number of ratios
judged (Bonferroni: two a group), does not hold 1.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final, NamedTuple

import numpy as np

from forestay.core.errors import UsageError
from forestay_training.fairness.treatment import Earned, Treatment
from forestay_training.offpolicy.log import Matrix, Vector

#: Numbers drawn at once: 16 MB.
_CHUNK: Final = 2_000_000
_ERROR: Final = 0.05
#: Sums kept a group: decisions, offers, cost, basket of the offers, gain, and decisions whose gain is known.
_SUMS: Final = 6
#: What is judged of a group: the ratio to all others, and the group's own rate.
_JUDGED: Final = {"selected_beside_others": "selected", "cost_of_a_basket_beside_others": "cost_of_a_basket"}
#: Draws that must lie beyond either end of an interval: with none there its ends are those of the outermost draws.
_BEYOND: Final = 1


class Rule(NamedTuple):
    """`least`: the ratio goes from it to its inverse. Groups of fewer users than `users` are not judged.

    `allowed` has reasons for groups that may differ.
    """

    least: float
    users: int
    allowed: Mapping[str, str]
    draws: int
    seed: int


def judge(
    groups: Sequence[str], users: Sequence[str], made: Treatment, gained: Earned, rule: Rule
) -> dict[str, dict[str, Any]]:
    """Returns for each group, by name, its rates, ratios and verdict, ready for JSON; all sequences are (N,).

    Raises:
        UsageError: the draws are too few for intervals as wide as so many groups need.
    """
    names, group = np.unique(groups, return_inverse=True)
    least_draws = ceil(2 * _BEYOND * _ratios(len(names)) / _ERROR)
    if len(names) > 1 and rule.draws < least_draws:
        raise UsageError(
            f"--draws {rule.draws}: intervals of {len(names)} groups are widened so far that it takes {least_draws:,}"
            " draws to tell their ends"
        )
    user = np.unique(users, return_inverse=True)[1]
    columns = (
        np.ones(len(group)),
        made.selected,
        made.cost,
        made.selected * made.basket,
        np.where(gained.known, gained.gain, 0.0),
        gained.known.astype(np.float64),
    )
    place = user * len(names) + group
    sums = np.stack([np.bincount(place, column, (user.max() + 1) * len(names)) for column in columns], axis=1)
    sums = sums.reshape(-1, len(names), _SUMS)
    counts = (sums[:, :, 0] > 0).sum(axis=0)
    drawn = resampled(np.asarray(sums.reshape(len(sums), -1), dtype=np.float64), rule.draws, rule.seed).reshape(
        rule.draws, len(names), _SUMS
    )
    whole = sums.sum(axis=0, keepdims=True)
    found = {}
    for number, name in enumerate(names.tolist()):
        rates = {"users": int(counts[number]), **_group(number, whole, drawn)}
        verdict = _verdict(name, rates, len(names), rule)
        found[name] = {**rates, "verdict": verdict, "allowed": rule.allowed.get(name)}
    return found


def resampled(sums: Matrix, draws: int, seed: int) -> Matrix:
    """Returns the sums over users (U, K) of each draw of users with replacement: (draws, K)."""
    generator, users = np.random.default_rng(seed), len(sums)
    at_once = max(1, _CHUNK // users)
    even = np.full(users, 1 / users)
    parts = [
        generator.multinomial(users, even, size=min(at_once, draws - start)) @ sums
        for start in range(0, draws, at_once)
    ]
    return np.concatenate(parts)


def _group(number: int, whole: Matrix, drawn: Matrix) -> dict[str, Any]:
    """Returns the rates of one group; `whole` (1, G, sums) and `drawn` (draws, G, sums)."""
    own, others = drawn[:, number], drawn.sum(axis=1) - drawn[:, number]
    ours, theirs = whole[:, number], whole.sum(axis=1) - whole[:, number]
    groups = drawn.shape[1]

    def told(over: int, under: int) -> dict[str, Any]:
        return spanned(divided(ours[:, over], ours[:, under]), divided(own[:, over], own[:, under]), 1)

    def beside(over: int, under: int) -> dict[str, Any]:
        value = divided(divided(ours[:, over], ours[:, under]), divided(theirs[:, over], theirs[:, under]))
        draws = divided(divided(own[:, over], own[:, under]), divided(others[:, over], others[:, under]))
        return spanned(value, draws, _ratios(groups))

    return {
        "decisions": int(whole[0, number, 0]),
        "selected": told(1, 0),
        "selected_beside_others": beside(1, 0),
        "cost_a_decision": told(2, 0),
        "cost_of_a_basket": told(2, 3),
        "cost_of_a_basket_beside_others": beside(2, 3),
        "uplift_a_decision": told(4, 5),
    }


def _ratios(groups: int) -> int:
    return groups * len(_JUDGED)


def _verdict(name: str, rates: Mapping[str, Any], groups: int, rule: Rule) -> str:
    """Returns `equal`, `unequal`, `allowed`, `undecided` or `too_few`; the worst of the ratios counts."""
    if groups == 1:
        return "equal"
    if rates["users"] < rule.users:
        return "too_few"
    found = [_of_one(rates[ratio], rates[rate], rule.least) for ratio, rate in _JUDGED.items()]
    if "unequal" in found:
        return "allowed" if name in rule.allowed else "unequal"
    return "undecided" if "undecided" in found else "equal"


def _of_one(ratio: Mapping[str, Any], rate: Mapping[str, Any], least: float) -> str:
    value, span = ratio["value"], ratio["interval"]
    if value is None:
        # Nobody is selected elsewhere: here neither, or here alone, which has no ratio and is not equal.
        return "undecided" if rate["value"] else "equal"
    if least <= value <= 1 / least:
        return "equal"
    return "undecided" if span is None or span[0] <= 1 <= span[1] else "unequal"


def divided(over: Vector, under: Vector) -> Vector:
    """Returns over / under, nan where that is nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(under > 0, over / under, np.nan))


def spanned(value: Vector, drawn: Vector, intervals: int) -> dict[str, Any]:
    """Returns a value with its interval, widened so that all of so many intervals hold at once.

    There is none where more than a tenth of the draws say nothing of the group.
    """
    found = float(value[0])
    sound = drawn[np.isfinite(drawn)]
    if not np.isfinite(found):
        return {"value": None, "interval": None}
    if len(sound) < 0.9 * len(drawn):
        return {"value": found, "interval": None}
    tail = 100 * _ERROR / intervals / 2
    return {"value": found, "interval": [float(end) for end in np.percentile(sound, [tail, 100 - tail])]}
