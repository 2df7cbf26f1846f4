"""Hazards: the likelihood of what is known of a silence, as one would write it down by hand."""

from math import log

import numpy as np
import pytest
import torch

from forestay_training.hazard import hazard_loss, is_falling, log_survival, seen_and_returned

pytestmark = pytest.mark.training

NAN = float("nan")
#: Back in the second bucket; silent throughout; known up to the second edge, silent; nothing known; back at once.
LEFT = np.array([[1, 0, 0], [1, 1, 1], [1, 1, NAN], [NAN, NAN, NAN], [0, 0, NAN]], dtype=np.float32)
HAZARD = (0.1, 0.2, 0.4)


def test_the_likelihood_is_that_of_the_buckets_seen() -> None:
    by_hand = [
        log(0.9) + log(0.2),
        log(0.9) + log(0.8) + log(0.6),
        log(0.9) + log(0.8),
        0.0,
        log(0.1),
    ]
    logits = torch.logit(torch.tensor([HAZARD] * len(LEFT)))
    seen, returned = map(torch.from_numpy, seen_and_returned(LEFT))
    assert float(hazard_loss(logits, seen, returned)) == pytest.approx(-sum(by_hand) / len(LEFT), rel=1e-5)
    for row, expected in enumerate(by_hand):
        one = slice(row, row + 1)
        assert float(hazard_loss(logits[one], seen[one], returned[one])) == pytest.approx(-expected, rel=1e-5)


def test_survival_is_the_product_of_what_is_survived() -> None:
    survival = torch.exp(log_survival(torch.logit(torch.tensor([HAZARD]))))
    np.testing.assert_allclose(survival.numpy(), [[0.9, 0.9 * 0.8, 0.9 * 0.8 * 0.6]], rtol=1e-5)


@pytest.mark.parametrize(("left", "is_one"), [(LEFT, True), (np.array([[0, 1]], dtype=np.float32), False)])
def test_labels_that_return_from_having_left_are_no_silence(left: np.ndarray, is_one: bool) -> None:
    assert is_falling(left) is is_one
