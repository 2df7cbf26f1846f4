"""Decisions as the core makes them, and outcomes with known effects: small logs for off-policy evaluation."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from support.builders import START, catalogue, offer, situation

from forestay.core.budget.book import Book
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.decide import decide
from forestay.core.units import DAY
from forestay_schemas.decision import Decision
from forestay_schemas.outcome import DecisionOutcome, Fragments
from forestay_schemas.retention_action import Churn
from forestay_schemas.types import Rung

#: Much exploration: every offer worth its cost is tried often.
SHOP: Final = catalogue(
    offer("small", effect=0.1, cost={"fixed": 1.0}),
    offer("large", effect=0.4, cost={"fixed": 9.0}),
    policy={"exploration": 0.6, "margin": 0.3},
    holdout=0.05,
)
FUNCTION: Final = "net-margin/1"
_NOTHING_CAME: Final = Fragments(
    returned=False, orders=0, revenue=0.0, refunded=0.0, margin=0.0, cost=0.0, feedback={}
)


def decisions(users: int, each: int = 2, shop: Catalogue = SHOP) -> list[Decision]:
    """Returns `each` decisions on each of `users` users, who differ in spend and risk."""
    digest = shop.digest()
    return [_decision(shop, digest, user, number) for user in range(users) for number in range(each)]


def embedded(made: Iterable[Decision], size: int = 8, seed: int = 5) -> list[Decision]:
    """Returns the decisions with embeddings whose first numbers differ most among users."""
    generator = np.random.default_rng(seed)
    spread = 2.0 ** -np.arange(size)
    rows = [np.round(generator.normal(0.5, spread), 2).tolist() for _ in made]
    return [one.model_copy(update={"embedding": tuple(row)}) for one, row in zip(made, rows, strict=True)]


def outcomes(
    made: Iterable[Decision], effects: dict[str | None, float], seed: int = 3, *, by_embedding: float = 0.0
) -> list[dict[str, Any]]:
    """Returns an outcome for each decision: the offer's effect on the user's spend, plus noise.

    `by_embedding` is what any offer brings besides, times the first number of the user's embedding.
    """
    generator = np.random.default_rng(seed)
    return [
        DecisionOutcome(
            decision_id=one.decision_id,
            user_id=one.user_id,
            offer_id=one.offer_id,
            decided_at=one.decided_at,
            matured_at=one.decided_at + timedelta(days=28),
            horizon_days=28,
            function=FUNCTION,
            reward=effects[one.offer_id] * one.features["spend_180d"] / 100
            + (by_embedding * one.embedding[0] if one.embedding and one.offer_id else 0.0)
            + float(generator.normal(0, 1)),
            fragments=_NOTHING_CAME,
        ).model_dump(mode="json")
        for one in made
    ]


def write_lines(path: Path, made: Sequence[Decision], came: Sequence[dict[str, Any]]) -> Path:
    """Writes both as one record a line."""
    lines = [one.model_dump_json() for one in made] + [json.dumps(one) for one in came]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def _decision(shop: Catalogue, digest: str, user: int, number: int) -> Decision:
    generator = np.random.default_rng([user, number])
    spend = float(generator.gamma(2, 60))
    features = {"spend_180d": spend, "tenure_hours": 24.0 * 200, "orders_total": 3, "average_basket": spend / 3}
    at = situation(features, now=START + number * DAY, user_id=f"u{user}")
    churn = Churn(
        probability=round(float(generator.uniform(0.3, 0.9)), 6),
        horizon_days=60,
        model="churn_transformer",
        version="7",
        rung=Rung.MODEL,
    )
    return decide(at, [], churn, shop, digest, book=Book((), 0, 1))
