"""A small Markov decision process whose value is known: users who cool down or warm up, and logs of it.

A step is a horizon of rewards, 28 days. Discounts earn at once and make warm users wait for the next; care costs at
once and warms users up. What an offer earns at once is what the shop's estimate says, so that a policy without advice
is truly short-sighted.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import numpy as np
from support.builders import START, catalogue, offer, situation
from support.decision_logs import FUNCTION

from forestay.core.budget.book import Book
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import decide
from forestay.core.decision.policy import expected_value
from forestay.core.decision.situation import Situation
from forestay.core.policy.posterior import SIGNALS
from forestay.core.policy.weighing import weigh
from forestay.core.units import DAY
from forestay_schemas.decision import Decision
from forestay_schemas.outcome import DecisionOutcome, Fragments
from forestay_schemas.retention_action import Churn
from forestay_schemas.types import Rung

STATES: Final = ("cool", "warm")
ACTIONS: Final = (None, "discount", "care")
WEEKLY: Final = 0.95
STEP: Final = WEEKLY**4
RISK: Final = 0.5
_SPEND: Final = {"cool": 40.0, "warm": 400.0}
#: What a user earns in 28 days if nothing is done.
_BASE: Final = {"cool": 2.0, "warm": 30.0}
#: Chances to be cool and warm at the next step; else the user has left for good.
CHANCES: Final[Mapping[tuple[str, str | None], tuple[float, float]]] = {
    ("cool", None): (0.6, 0.1),
    ("cool", "discount"): (0.6, 0.1),
    ("cool", "care"): (0.4, 0.5),
    ("warm", None): (0.15, 0.8),
    ("warm", "discount"): (0.5, 0.4),
    ("warm", "care"): (0.15, 0.8),
}
_NOTHING_CAME: Final = Fragments(
    returned=False, orders=0, revenue=0.0, refunded=0.0, margin=0.0, cost=0.0, feedback={}
)


def shop(**policy: Any) -> Catalogue:
    """Returns the shop: 28 days at stake are put as 180, so that the estimate is the one above."""
    return catalogue(
        offer("discount", effect=0.4, cost={"fixed": 20.0}),
        offer("care", effect=0.0, cost={"fixed": 3.0}),
        policy={"exploration": 0.0, "margin": 0.3, "value_days": 180, **policy},
    )


#: Has learned nothing and draws evenly.
LOGGING: Final = shop(
    kind="linear_thompson",
    exploration=1.0,
    posterior={"signals": SIGNALS, "function": FUNCTION, "decisions": 0, "prior_deviation": 5.0, "heads": {}},
)


def at(state: str, user_id: str = "u1", step: int = 0) -> Situation:
    """Returns a user in a state."""
    features = {"spend_180d": _SPEND[state], "tenure_hours": 24.0 * 200, "orders_total": 3.0, "average_basket": 20.0}
    return situation(features, now=START + step * 28 * DAY, user_id=user_id)


def at_once(state: str, action: str | None) -> float:
    """Returns the mean reward of a step."""
    made = LOGGING.offer(action)
    return _BASE[state] + (0.0 if made is None else expected_value(made, at(state), RISK, LOGGING))


def after(state: str, action: str | None, values: Mapping[str, float]) -> float:
    """Returns what comes after the step, discounted to its begin, if states are worth `values`."""
    return STEP * sum(chance * values[then] for chance, then in zip(CHANCES[state, action], STATES, strict=True))


def solved(choose: Callable[[str], str | None] | None = None) -> dict[str, float]:
    """Returns the value of each state by value iteration: of the best policy, or of one that chooses so."""
    values = dict.fromkeys(STATES, 0.0)
    for _round in range(300):
        values = {
            state: max(
                at_once(state, action) + after(state, action, values)
                for action in (ACTIONS if choose is None else (choose(state),))
            )
            for state in STATES
        }
    return values


def added(state: str, action: str) -> float:
    """Returns what an action adds to what comes after the step, above doing nothing, if the best is done then."""
    best = solved()
    return after(state, action, best) - after(state, None, best)


def choice(made: Catalogue, state: str) -> str | None:
    """Returns what a policy that does not explore does."""
    candidates = weigh(made.offers, at(state), RISK, made)
    return max(candidates, key=lambda one: one.propensity).offer_id


def lived(users: int, steps: int, seed: int = 1) -> tuple[list[Decision], list[dict[str, Any]]]:
    """Returns decisions on users who live through the process from the same moment on, and their outcomes."""
    generator = np.random.default_rng(seed)
    decisions: list[Decision] = []
    outcomes: list[dict[str, Any]] = []
    for user in range(users):
        state = STATES[user % 2]
        for step in range(steps):
            one = _decision(f"u{user}", state, step)
            decisions.append(one)
            outcomes.append(_outcome(one, at_once(state, one.offer_id) + float(generator.normal(0, 2))))
            cool, warm = CHANCES[state, one.offer_id]
            drawn = generator.random()
            if drawn >= cool + warm:
                break
            state = "cool" if drawn < cool else "warm"
    return decisions, outcomes


def _decision(user_id: str, state: str, step: int) -> Decision:
    churn = Churn(probability=RISK, horizon_days=60, model="churn_transformer", version="7", rung=Rung.MODEL)
    return decide(at(state, user_id, step), [], churn, LOGGING, "0" * 12, book=Book((), 0, 1))


def _outcome(one: Decision, reward: float) -> dict[str, Any]:
    return DecisionOutcome(
        decision_id=one.decision_id,
        user_id=one.user_id,
        offer_id=one.offer_id,
        decided_at=one.decided_at,
        matured_at=one.decided_at + timedelta(days=28),
        horizon_days=28,
        function=FUNCTION,
        reward=reward,
        fragments=_NOTHING_CAME,
    ).model_dump(mode="json")
