"""The ring of sums: what is in it, what falls out, and that time never goes back."""

import numpy as np
import pytest

from forestay.core.watch.ring import Ring


@pytest.mark.parametrize("seed", range(20))
def test_the_ring_holds_the_newest_buckets_and_gives_back_the_rest(seed: int) -> None:
    random = np.random.default_rng(seed)
    ring, kept, lost, bucket = Ring(5, 2), dict[int, float](), 0.0, 0
    for _ in range(60):
        bucket += int(random.integers(-2, 8))
        lost += float(ring.advance(max(bucket, 0))[0])
        assert ring.newest == max(bucket, 0, *kept)
        value = float(random.integers(1, 9))
        ring.add(np.array([value, 1.0]))
        kept[ring.newest] = kept.get(ring.newest, 0.0) + value
        inside = {at: one for at, one in kept.items() if at > ring.newest - 5}
        assert ring.total[0] == sum(inside.values())
        assert lost == sum(kept.values()) - sum(inside.values())
