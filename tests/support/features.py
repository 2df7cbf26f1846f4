"""A user's features, as tests ask for them."""

from collections.abc import Sequence

from librt.vecs import vec
from mypy_extensions import i64

from forestay.core.families.family import Part
from forestay.core.feature_set import FeatureSet
from forestay.core.state.user_state import UserState


def features_of(state: UserState, features: FeatureSet, now: int) -> list[float]:
    """Returns the user's features at moment `now` (milliseconds), in the order of the feature set."""
    return features.values(state.parts, now, state.last_ts)


def picked(part: Part, now: int, latest: int, wanted: Sequence[int]) -> list[float]:
    """Returns those of a part's features that stand at the places `wanted`."""
    # One behind and one in front, which stay as they are.
    row = vec[float]([-1.0] * (len(wanted) + 2))
    assert part.pick(now, latest, vec[i64](wanted), row, 1) == len(wanted) + 1
    assert row[0] == row[len(wanted) + 1] == -1.0
    return list(row[1 : len(wanted) + 1])
