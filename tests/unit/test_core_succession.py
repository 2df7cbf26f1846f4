"""What may change under users who are on their way, and what needs a name of its own."""

from typing import Any

import pytest
from support.builders import catalogue, offer

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.succession import Meanings
from forestay.core.errors import ConfigurationError

BUDGET: dict[str, Any] = {"id": "gifts", "limit": 100}
ARMED = BUDGET | {"arms": {"one": 40, "two": 60}}
EXPERIMENT: dict[str, Any] = {
    "id": "colours",
    "layer": "shop",
    "salt": "s1",
    "from": "2026-01-01T00:00:00Z",
    "until": "2026-03-01T00:00:00Z",
    "traffic": 0.5,
    "arms": [{"id": "one"}, {"id": "two", "change": {"act": False}}],
    "plan": {"users": 1_000},
}


def shop(*budgets: dict[str, Any], experiments: tuple[dict[str, Any], ...] = ()) -> Catalogue:
    whole = catalogue(offer("a"), offer("b"), budgets=budgets).model_dump(by_alias=True)
    return Catalogue.model_validate(whole | {"experiments": list(experiments)})


def check_succession(*catalogues: Catalogue) -> None:
    """Lets each take the place of the one before it."""
    meanings = Meanings()
    for one in catalogues:
        meanings.check(one)
        meanings.take(one)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (shop(BUDGET), shop(BUDGET | {"limit": 5})),
        (shop(BUDGET), shop(BUDGET | {"hours": [1.0] * 12 + [2.0] * 12})),
        (shop(BUDGET), shop()),
        (shop(), shop(BUDGET)),
        (shop(BUDGET), shop(BUDGET | {"id": "points", "unit": "points"})),
        (shop(ARMED), shop(ARMED | {"arms": {"one": 60, "two": 40}})),
        (shop(experiments=(EXPERIMENT,)), shop()),
        (shop(), shop(experiments=(EXPERIMENT,))),
        (shop(experiments=(EXPERIMENT,)), shop(experiments=(EXPERIMENT | {"until": "2026-02-01T00:00:00Z"},))),
        (shop(experiments=(EXPERIMENT,)), shop(experiments=(EXPERIMENT | {"traffic": 1.0},))),
    ],
)
def test_what_is_counted_goes_on(before: Catalogue, after: Catalogue) -> None:
    check_succession(before, after)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (shop(BUDGET), shop(BUDGET | {"unit": "points"}), "budget gifts: `unit` changes from money to points"),
        (
            shop(BUDGET),
            shop(BUDGET | {"period": "campaign", "starts": "2026-01-01", "ends": "2026-01-09"}),
            "budget gifts: `period` changes from day to campaign",
        ),
        (shop(BUDGET), shop(ARMED), "budget gifts: `arms` changes from none to one, two"),
        (shop(ARMED), shop(BUDGET | {"arms": {"one": 40}}), "budget gifts: `arms` changes from one, two to one"),
        (
            shop(experiments=(EXPERIMENT,)),
            shop(experiments=(EXPERIMENT | {"salt": "s2"},)),
            "experiment colours: `salt` changes",
        ),
        (
            shop(experiments=(EXPERIMENT,)),
            shop(experiments=(EXPERIMENT | {"arms": [{"id": "one"}, {"id": "two"}]},)),
            "experiment colours: `arms` changes",
        ),
    ],
)
def test_what_would_be_counted_as_something_else_is_refused(before: Catalogue, after: Catalogue, why: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_succession(before, after)
    assert why in str(refused.value)
    assert "another" in str(refused.value)


def test_an_id_that_was_away_means_what_it_meant() -> None:
    whole = shop(BUDGET, experiments=(EXPERIMENT,))
    check_succession(whole, shop(), shop(BUDGET | {"limit": 5}, experiments=(EXPERIMENT | {"traffic": 1.0},)))
    with pytest.raises(ConfigurationError, match="budget gifts: `unit` changes from money to points"):
        check_succession(whole, shop(), shop(BUDGET | {"unit": "points"}))
    with pytest.raises(ConfigurationError, match="experiment colours: `salt` changes"):
        check_succession(whole, shop(), shop(), shop(experiments=(EXPERIMENT | {"salt": "s2"},)))
