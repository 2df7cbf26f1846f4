"""Differences of two versions: sums and quantiles of what was added, whatever the batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import catalogue

from forestay.core.decision.catalogue import Catalogue
from forestay.shell.scoring.differences import Differences
from forestay.shell.scoring.report import thresholds

probabilities = st.floats(0, 1)
pairs = st.lists(st.lists(st.tuples(probabilities, probabilities), max_size=20), min_size=1, max_size=5)


@given(pairs)
def test_they_are_those_of_all_pairs_together(batches: list[list[tuple[float, float]]]) -> None:
    found = Differences((0.3, 0.6))
    for batch in batches:
        found.add([one for one, _ in batch], [other for _, other in batch])
    flat = np.array([pair for batch in batches for pair in batch]).reshape(-1, 2)
    told = found.told()
    assert told["users"] == len(flat)
    if len(flat):
        apart = np.abs(flat[:, 1] - flat[:, 0])
        assert told["mean_absolute_difference"] == pytest.approx(apart.mean())
        assert told["mean_difference"] == pytest.approx((flat[:, 1] - flat[:, 0]).mean())
        assert told["largest_difference"] == apart.max()
        for share, value in told["quantiles"].items():
            assert value == pytest.approx(np.quantile(apart, float(share), method="inverted_cdf"), abs=0.0011)
        sides = np.digitize(flat, [0.3, 0.6])
        assert told["crossing_share"] == pytest.approx((sides[:, 0] != sides[:, 1]).mean())


def test_thresholds_are_those_at_which_offers_begin() -> None:
    plain = catalogue()
    offer = plain.offers[0]

    def made(*beginnings: float) -> Catalogue:
        eligibility = [offer.eligibility.model_copy(update={"min_probability": one}) for one in beginnings]
        offers = tuple(offer.model_copy(update={"eligibility": one}) for one in eligibility)
        return plain.model_copy(update={"offers": offers})

    assert thresholds(made(0.6, 0.0, 0.3, 0.6)) == (0.3, 0.6)
    assert thresholds(made(0.0)) == (0.5,)
