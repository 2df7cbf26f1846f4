"""The catalogue: what a shop may write, and that what is shipped can be read."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from support.builders import NO_BUDGETS, catalogue, lived, offer, situation

from forestay.core.decision.catalogue import MAX_OFFERS, Catalogue
from forestay.core.decision.decide import decide, remember
from forestay.core.decision.policy import draw
from forestay.core.state.contact import MAX_CONTACTS
from forestay.core.units import DAY
from forestay.settings import DEFAULT_CATALOGUE
from forestay_schemas import ActionKind, Candidate, Churn, Rung


def test_the_shipped_catalogue_can_be_read_and_has_a_holdout() -> None:
    shipped = Catalogue.model_validate(yaml.safe_load(DEFAULT_CATALOGUE.read_text()))
    assert 0 < shipped.guardrails.holdout < 1
    assert shipped.guardrails.cap_contacts is not None
    assert len({one.kind for one in shipped.offers}) > 3


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"offers": []}, "offers"),
        ({"offers": [offer("a"), offer("b"), offer("a")]}, "repeated: a"),
        ({"offers": [offer(f"o{n}") for n in range(MAX_OFFERS + 1)]}, "offers"),
        ({"offers": [offer("a", colour="red")]}, "colour"),
        ({"offers": [offer("a", effect=1.1)]}, "effect"),
        ({"offers": [offer("a", cost={"fixed": -1})]}, "fixed"),
        ({"offers": [offer("a", cost={"fixed": float("nan")})]}, "fixed"),
        ({"offers": [offer("a", cooldown_days=float("inf"))]}, "cooldown_days"),
        ({"offers": [offer("a", expires_after_hours=0)]}, "expires_after_hours"),
        ({"offers": [offer("a\n")]}, "id"),
        ({"guardrails": {"cap_contacts": MAX_CONTACTS + 1}}, "cap_contacts"),
        ({"guardrails": {"holdout": -0.1}}, "holdout"),
        ({"guardrails": {"caps": [{"max": MAX_CONTACTS + 1, "days": 1}]}}, "caps"),
        ({"guardrails": {"caps": [{"max": 1}]}}, "days"),
        ({"guardrails": {"kind_cooldown_days": {"letter": 1}}}, "letter"),
        ({"offers": [offer("a", kind="promotion", transactional=True)]}, "a promotion is marketing"),
        ({"policy": {"exploration": 2}}, "exploration"),
        ({"name": None}, "name"),
    ],
)
def test_what_cannot_work_is_refused_by_name(content: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Catalogue.model_validate({"name": "shop", "offers": [offer()]} | content)


def test_contacts_are_remembered_up_to_their_bound_the_newest_last() -> None:
    state, shop = lived(), catalogue(offer("a"), policy={"exploration": 0})
    churn = Churn(probability=0.9, horizon_days=60, model="m", version="1", rung=Rung.RULE)
    for day in range(MAX_CONTACTS + 5):
        at = situation({"spend_180d": 100, "tenure_hours": 1}, now=day * DAY)
        remember(state, decide(at, [], churn, shop, shop.digest(), book=NO_BUDGETS), at.now)
    assert [contact.ts // DAY for contact in state.contacts] == list(range(5, MAX_CONTACTS + 5))
    assert (state.scored_ts, state.score) == ((MAX_CONTACTS + 4) * DAY, None)


def test_propensities_a_hair_below_one_still_draw_what_is_in_play() -> None:
    names: list[tuple[str | None, float]] = [(None, 1e-9), ("a", 1e-9), ("b", 0.0)]
    candidates = [
        Candidate(offer_id=name, kind=name and ActionKind.MESSAGE, expected_value=0, propensity=p)
        for name, p in names
    ]
    assert {draw(candidates, str(n), "s") for n in range(50)} == {1}
