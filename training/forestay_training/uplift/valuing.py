"""What policies are worth on the test's people: money a person, less costs, above treating no one.

The estimate is by doubly robust scores: as the arms were drawn by chance it is right on average, however wrong the
models.
"""

from typing import Any, NamedTuple

import numpy as np

from forestay_training.uplift.campaign import Campaign, Matrix, Vector
from forestay_training.uplift.intervals import figure, means, rounded
from forestay_training.uplift.learners import robust_scores
from forestay_training.uplift.policies import BY_EFFECT, SHARES, chances, curve_chances


class Told(NamedTuple):
    """Of the test's people: effects in money (N, K), money expected in each arm (N, K + 1), and risk (N,)."""

    gained: Matrix
    paid: Matrix
    risk: Vector


def value_policies(
    train: Campaign, test: Campaign, costs: tuple[float, ...], told: Told, weights: list[Vector]
) -> dict[str, Any]:
    """Returns each policy's value, what treating by effect earns more, and both by the share treated."""
    cost = np.array([0.0, *costs])
    scores = robust_scores(test.arm, test.value, told.paid, test.shares) - cost
    gain = scores - scores[:, :1]
    net = told.gained - cost[1:]
    best = _best(train, cost)
    policies = chances(net, told.risk, best, test.arms)
    per_person = {name: (gain * chance).sum(axis=1) for name, chance in policies.items()}
    values, drawn = means(per_person, weights)
    table = {
        name: {
            "treated": rounded(float(1 - chance[:, 0].mean())),
            "net": figure(values[name], drawn[name]),
            **_raw(test, chance, costs),
        }
        for name, chance in policies.items()
    }
    others = [name for name in policies if name != BY_EFFECT]
    return {
        "best_on_average": test.arms[best],
        "policies": table,
        "differences": {
            name: figure(values[BY_EFFECT] - values[name], drawn[BY_EFFECT] - drawn[name]) for name in others
        },
        "net_by_share": {
            "treated": list(SHARES),
            **{
                name: [rounded(float((gain * chance).sum(axis=1).mean())) for chance in steps]
                for name, steps in curve_chances(net, told.risk, best).items()
            },
        },
    }


def _best(train: Campaign, cost: Vector) -> int:
    paid = [float(train.value[train.arm == arm].mean()) - cost[arm] for arm in range(1, len(train.arms))]
    return int(np.argmax(paid)) + 1


def _raw(test: Campaign, chance: Matrix, cost: tuple[float, ...]) -> dict[str, Any]:
    """Returns Starbucks' own two figures over the people whom a policy treats, where there is one treatment.

    IRR: share of outcomes among the treated less that among the untreated. NIR: value of the treated less their cost,
    less value of the untreated, as they are counted: a fair comparison where the arms are of one size only.
    """
    if len(cost) > 1 or not np.isin(chance, (0.0, 1.0)).all():
        return {}
    chosen = chance[:, 1] == 1
    treated, untreated = chosen & (test.arm == 1), chosen & (test.arm == 0)
    if not treated.any() or not untreated.any():
        return {"irr": None, "nir": None}
    irr = test.outcome[treated].mean() - test.outcome[untreated].mean()
    nir = test.value[treated].sum() - cost[0] * treated.sum() - test.value[untreated].sum()
    return {"irr": rounded(float(irr)), "nir": rounded(float(nir))}
