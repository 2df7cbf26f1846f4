"""How often each way of reading an experiment errs and finds: shown on made-up users, many times over.

The users are synthetic: each has a chance of returning drawn from a Beta distribution, which is also the score that
is known before; an arm multiplies it. What is shown is the arithmetic of tests, not what any offer does.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.stats import beta, norm

from forestay_training.experiments.always_valid import half_width
from forestay_training.experiments.arrays import Floats
from forestay_training.experiments.sequential import bounds, spent

#: The Beta distribution is held at so many of its quantiles: drawing from it is then picking one.
_QUANTILES: Final = 1_024
#: Simulations held at once: 32 of 20,000 users are 20 MB.
_AT_ONCE: Final = 32
WAYS: Final = ("naive peeking", "fixed horizon", "group sequential", "confidence sequence")


class Scene(NamedTuple):
    """What is simulated: users of both arms together, evenly matured over the looks.

    `explained` is the share of the variance of returning that the score tells.
    """

    users: int = 20_000
    looks: int = 14
    base: float = 0.3
    explained: float = 0.15
    alpha: float = 0.05
    simulations: int = 2_000
    seed: int = 7


def simulate(scene: Scene, lifts: list[float], tell: Callable[[int, int], None]) -> list[dict[str, Any]]:
    """Returns for each lift (0 is an A/A test), way and use of the score how often it finds, and when.

    `tell` is told how many simulations are done, of how many.
    """
    rows = []
    whole = scene.simulations * len(lifts)
    for number, lift in enumerate(lifts):
        found: dict[tuple[str, bool], list[Floats]] = {}
        done = 0
        for batch in _batches(scene, lift, np.random.default_rng([scene.seed, number])):
            for score in (False, True):
                for way, stops in _stops(scene, statistics(batch, score=score)).items():
                    found.setdefault((way, score), []).append(stops)
            done += len(batch.arm_users)
            tell(number * scene.simulations + done, whole)
        for (way, score), parts in sorted(found.items(), key=lambda one: (WAYS.index(one[0][0]), one[0][1])):
            rows.append(_row(scene, lift, way, np.concatenate(parts), score=score))
    return rows


class Sums(NamedTuple):
    """Sums over users up to each look: axes are simulation, arm and look. y is the return, x the score."""

    arm_users: Floats
    y: Floats
    x: Floats
    xx: Floats
    xy: Floats


def _batches(scene: Scene, lift: float, chance: np.random.Generator) -> Iterator[Sums]:
    size = 1 / scene.explained - 1
    grid = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    scores = beta.ppf(grid, scene.base * size, (1 - scene.base) * size)
    for begun in range(0, scene.simulations, _AT_ONCE):
        shape = (min(_AT_ONCE, scene.simulations - begun), scene.users)
        score = scores[chance.integers(_QUANTILES, size=shape)]
        treated = chance.integers(2, size=shape) == 1
        back = chance.random(shape) < score * (1 + lift * treated)
        yield _sums(scene, score, treated, back)


def _sums(scene: Scene, score: Floats, treated: Any, back: Any) -> Sums:
    starts = np.arange(scene.looks) * scene.users // scene.looks

    def summed(values: Floats) -> Floats:
        arms = [np.add.reduceat(np.where(treated == arm, values, 0.0), starts, axis=1) for arm in (False, True)]
        return np.asarray(np.cumsum(np.stack(arms, axis=1), axis=2))

    return Sums(summed(np.ones_like(score)), summed(back), summed(score), summed(score**2), summed(score * back))


def statistics(sums: Sums, *, score: bool) -> Floats:
    """Returns Welch's statistic of each simulation at each look, with CUPED on the score if it is used."""
    n = sums.arm_users
    mean_y, mean_x = sums.y / n, sums.x / n
    var_y = (sums.y - n * mean_y**2) / (n - 1)
    if not score:
        error = np.sqrt((var_y / n).sum(axis=1))
        return np.asarray((mean_y[:, 1] - mean_y[:, 0]) / error)
    var_x = (sums.xx - n * mean_x**2) / (n - 1)
    cov = (sums.xy - n * mean_x * mean_y) / (n - 1)
    both = Sums(*(part.sum(axis=1, keepdims=True) for part in sums))
    all_n, all_x = both.arm_users, both.x / both.arm_users
    slope = (both.xy - all_n * all_x * both.y / all_n) / (both.xx - all_n * all_x**2)
    mean = mean_y - slope * mean_x
    error = np.sqrt(((var_y + slope**2 * var_x - 2 * slope * cov) / n).sum(axis=1))
    return np.asarray((mean[:, 1] - mean[:, 0]) / error)


def _stops(scene: Scene, z: Floats) -> dict[str, Floats]:
    """Returns for each way the share of the users at which each simulation finds something, infinite if none."""
    fractions = [(number + 1) / scene.looks for number in range(scene.looks)]
    plain = np.full(scene.looks, norm.isf(scene.alpha / 2))
    users = [max(int(scene.users * fraction), 1) for fraction in fractions]
    wide = np.array([half_width(1.0, count, scene.alpha, scene.users) for count in users])
    limits = {
        "naive peeking": plain,
        "fixed horizon": np.where(np.arange(scene.looks) == scene.looks - 1, plain, np.inf),
        "group sequential": np.array(bounds(fractions, spent(fractions, scene.alpha))),
        "confidence sequence": wide,
    }
    return {way: _first(np.abs(z) > limit, np.array(fractions)) for way, limit in limits.items()}


def _first(crossed: Any, fractions: Floats) -> Floats:
    return np.where(crossed.any(axis=1), fractions[crossed.argmax(axis=1)], np.inf)


def _row(scene: Scene, lift: float, way: str, stops: Floats, *, score: bool) -> dict[str, Any]:
    share = float(np.mean(np.isfinite(stops)))
    half = float(norm.isf(0.025)) * (share * (1 - share) / len(stops)) ** 0.5
    return {
        "lift": lift,
        "way": way,
        "score": score,
        "found": share,
        "interval": (max(share - half, 0.0), min(share + half, 1.0)),
        "users": float(np.mean(np.minimum(stops, 1.0))) * scene.users,
    }
