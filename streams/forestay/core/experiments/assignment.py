"""Which arm a user is in: two salted hashes, one of the layer and one of the experiment, and nothing remembered.

The layer's hash says which of its experiments may have the user, so that they exclude each other; the experiment's
own salt deals its users to the arms, so that what one experiment did to its arms is spread evenly over those of the
next. Arms lie at places fixed by their weights, and each fills its place from the beginning as `traffic` grows (the
layout of GrowthBook's bucket ranges): whoever is in an arm stays there. Other weights, or another salt, deal anew.
"""

from collections.abc import Sequence
from itertools import pairwise

from forestay.core.experiments.settings import BUCKETS, Arm, Experiment
from forestay.core.hashing import unit_interval


def bucket(*names: str) -> int:
    """Returns the bucket, 0 to 9,999, that `names` fall into."""
    return int(unit_interval("experiment", *names) * BUCKETS)


def places(experiment: Experiment) -> list[range]:
    """Returns the buckets of each arm that take part, in the order of the arms."""
    total = sum(arm.weight for arm in experiment.arms)
    ends = [0]
    reached = 0.0
    for arm in experiment.arms:
        reached += arm.weight
        ends.append(round(BUCKETS * reached / total))
    return [range(first, first + int(experiment.traffic * (last - first) + 1e-9)) for first, last in pairwise(ends)]


def arm_of(experiment: Experiment, user_id: str) -> Arm | None:
    """Returns the user's arm, None if the user takes no part. It knows neither dates, audience nor holdout."""
    first, last = experiment.room
    if not first <= bucket("layer", experiment.layer, user_id) < last:
        return None
    drawn = bucket("arm", experiment.salt, user_id)
    return next((arm for arm, place in zip(experiment.arms, places(experiment), strict=True) if drawn in place), None)


def shares(experiment: Experiment) -> list[float]:
    """Returns how the users who take part are expected to divide among the arms; they sum to 1."""
    sizes = [len(place) for place in places(experiment)]
    whole = sum(sizes)
    return [size / whole if whole else 1 / len(sizes) for size in sizes]


def arms_of(experiments: Sequence[Experiment], user_id: str) -> list[tuple[Experiment, Arm]]:
    """Returns the experiments the user takes part in with the arm of each, in the order of `experiments`."""
    found = ((experiment, arm_of(experiment, user_id)) for experiment in experiments)
    return [(experiment, arm) for experiment, arm in found if arm is not None]
