"""The directions of the model's embedding that differ most among the users of a log (principal components)."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.errors import ForestayError
from forestay.core.policy.projection import Projection
from forestay_training.offpolicy.records import Decided


class Projected(NamedTuple):
    """A projection, how many decisions it was fitted to, and what share of their variance it keeps."""

    projection: Projection
    decisions: int
    kept: float


def project(decisions: Sequence[Decided], axes: int) -> Projected:
    """Returns the first `axes` principal components of the embeddings of the version that answered most.

    They are scaled alike, so that the signals' squares sum to 1 on average: together they weigh as much as one of
    the others. Of equal versions the later name counts; an axis' largest number is positive.

    Raises:
        ForestayError: no record has an embedding, or they differ in fewer directions.
    """
    versions = Counter(one.churn.version for one in decisions if one.embedding)
    if not versions:
        raise ForestayError(
            "no decision of the log carries the model's embedding: with `policy: {embedding: true}` in the catalogue"
            " they do from then on; without --embedding the policy learns from the other signals"
        )
    version = max(versions, key=lambda name: (versions[name], name))
    rows = np.array([one.embedding for one in decisions if one.embedding and one.churn.version == version])
    centre, directions, variances = principal(rows)
    spanned = len(variances)
    if spanned < axes:
        raise ForestayError(
            f"the embeddings of version {version} differ in {spanned} directions: --embedding {spanned} at most"
            if spanned
            else f"all {len(rows):,} embeddings of version {version} are the same: fit without --embedding"
        )
    found = directions[:axes] / float(variances[:axes].sum()) ** 0.5
    projection = Projection(
        version=version, centre=tuple(centre.tolist()), axes=tuple(tuple(row) for row in found.tolist())
    )
    return Projected(projection, len(rows), float(variances[:axes].sum() / variances.sum()))


class Principal(NamedTuple):
    """The mean (N,) of rows, the directions (K, N) in which they differ, most first, and their variances (K,)."""

    centre: NDArray[np.float64]
    directions: NDArray[np.float64]
    variances: NDArray[np.float64]


def principal(rows: NDArray[np.float64]) -> Principal:
    """Returns the principal components of rows (R, N) with a variance; the largest number of each is above 0."""
    centre = rows.mean(axis=0)
    _left, sizes, directions = np.linalg.svd(rows - centre, full_matrices=False)
    variances = sizes**2 / len(rows)
    spanned = int((variances > variances.sum() * 1e-9).sum())
    directions = directions[:spanned]
    signs = np.sign(directions[np.arange(spanned), np.abs(directions).argmax(axis=1)]) if spanned else np.zeros(0)
    return Principal(centre, directions * signs[:, None], variances[:spanned])
