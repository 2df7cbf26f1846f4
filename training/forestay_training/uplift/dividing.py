"""Divides one campaign into train and test by a hash of each person's key: the same with every run and order."""

from hashlib import blake2b
from typing import Final

import numpy as np

from forestay.core.errors import ForestayError
from forestay_training.uplift.campaign import Campaign

_BUCKETS: Final = 10_000


def divide(campaign: Campaign, test_share: float, seed: int) -> tuple[Campaign, Campaign]:
    """Returns the people to learn from and those to judge by; rows with one key go together.

    Raises:
        ForestayError: a side lacks an arm.
    """
    bucket = np.array([_bucket(str(key), seed) for key in campaign.key.tolist()])
    tested = bucket < test_share * _BUCKETS
    sides = campaign.only(~tested), campaign.only(tested)
    if any(not side.counts.all() for side in sides):
        raise ForestayError("too few people to divide into train and test: give --test, or more rows")
    return sides


def _bucket(key: str, seed: int) -> int:
    digest = blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _BUCKETS
