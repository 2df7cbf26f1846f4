"""The optimum that pacing is held against is that of the linear programme, as HiGHS finds it."""

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import coo_array, vstack

from forestay.budgets.market import COSTS, best, draw_market


@pytest.mark.parametrize(("seed", "limit"), [(0, 20_000), (1, 60_000), (2, 10**9)])
def test_the_bound_is_the_linear_programmes(seed: int, limit: int) -> None:
    market = draw_market(2_000, seed)
    users, offers = market.values.shape
    costs = np.array(COSTS)
    each = np.arange(users * offers)
    one_a_user = coo_array((np.ones(users * offers), (each // offers, each)))
    spending = coo_array(np.tile(costs, users)[None, :])
    found = linprog(
        -(market.values - costs).ravel(),
        A_ub=vstack([one_a_user, spending]),
        b_ub=[*[1.0] * users, float(limit)],
        bounds=(0, 1),
        method="highs",
    )
    assert best(market, limit).value == pytest.approx(-found.fun, rel=1e-7)
