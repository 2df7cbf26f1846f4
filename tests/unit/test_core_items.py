"""Recommendations fill themselves: from what the user met lately, in stock, and the same in every replay."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.builders import START, catalogue, click, offer, partition, settle, source, tick

from forestay.core.decision.catalogue import Catalogue
from forestay.core.hashing import hash64
from forestay.core.items.items import ITEM_BITS, Items, ListKind
from forestay.core.items.recommend import Taste, recommended
from forestay.core.rules import Rules
from forestay.core.units import DAY, HOUR

ITEMS = Items(
    orders=9,
    popular=("cup", "mug", "jar", "pot"),
    countries={"FR": ("pot",)},
    together={"tea": (("pot", 0.5), ("cup", 0.3)), "coffee": (("mug", 0.4), ("cup", 0.25))},
    similar={"tea": (("teapot", 0.9),)},
)


def taste(*items: str, country: str | None = None) -> Taste:
    return Taste([hash64(item) & ITEM_BITS for item in items], country)


def test_neighbours_of_what_was_met_last_come_first_and_popularity_fills_the_rest() -> None:
    assert recommended(ListKind.TOGETHER, 4, taste("tea"), ITEMS) == ["pot", "cup", "mug", "jar"]
    # cup: 0.25 + 0.9 x 0.3; mug 0.4; pot 0.9 x 0.5
    assert recommended(ListKind.TOGETHER, 3, taste("tea", "coffee"), ITEMS) == ["cup", "pot", "mug"]
    assert recommended(ListKind.SIMILAR, 2, taste("tea"), ITEMS) == ["teapot", "cup"]
    assert recommended(ListKind.POPULAR, 2, taste("tea", country="FR"), ITEMS) == ["pot", "cup"]
    assert recommended(ListKind.TOGETHER, 2, taste("unknown"), ITEMS) == ["cup", "mug"]


def test_what_was_just_met_or_is_out_of_stock_is_never_shown() -> None:
    assert recommended(ListKind.TOGETHER, 9, taste("cup", "tea"), ITEMS, {"pot"}) == ["mug", "jar"]


def shop(kind: str = "recommendation", listed: str = "together", **more: Any) -> Catalogue:
    made = offer("a", kind=kind, payload={"list": listed, "count": 2})
    content = catalogue().model_dump() | {"offers": [made], "items": ITEMS, "policy": {"exploration": 0}}
    return Catalogue.model_validate(content | more)


def views(*items: str, days: float = 0.0) -> list[Any]:
    """Returns records of views, an hour apart, and a purchase in the end, which is scored."""
    events = [click(f"e{place}", event="view_item", item_id=item, ts=START + place * HOUR)
              for place, item in enumerate(items)]  # fmt: skip
    last = START + len(items) * HOUR + round(days * DAY)
    events.append(click("buy", event="purchase", item_id="plate", price=50.0, order_id="o1", ts=last))
    return [source(event, place) for place, event in enumerate(events)]


def test_an_action_shows_what_goes_with_what_the_user_met() -> None:
    settled = settle(partition(Rules(), shop()), views("tea", "coffee"))
    assert [one.items for one in settled.decisions][-1] == ("cup", "pot")
    assert settled.actions[-1].payload == {"list": "together", "count": 2, "items": ["cup", "pot"]}


def test_what_was_met_more_than_thirty_days_ago_counts_no_more() -> None:
    settled = settle(partition(Rules(), shop()), views("tea", "coffee", days=40))
    assert settled.decisions[-1].items == ("cup", "mug")


def test_items_that_run_out_leave_the_list_and_an_empty_one_cuts_the_offer() -> None:
    settled = settle(partition(Rules(), shop(switches={"items_out_of_stock": ["cup"]})), views("tea"))
    assert settled.decisions[-1].items == ("pot", "mug")
    settled = settle(partition(Rules(), shop(switches={"items_out_of_stock": list(ITEMS.popular)})), views("tea"))
    assert [one.code for one in settled.decisions[-1].suppressed] == ["nothing_to_recommend"]


@pytest.mark.parametrize(("gone", "shown"), [(["cup"], ["pot"]), (["cup", "pot"], None)])
def test_an_action_that_waits_goes_without_what_ran_out_and_not_without_all(
    gone: list[str], shown: list[str] | None
) -> None:
    quiet = {"quiet_hours": {"from": "22:00", "until": "08:00"}, "timezone": "UTC", "cap_contacts": None}
    guardrails = {**shop().guardrails.model_dump(), **quiet}
    core = partition(Rules(), shop(guardrails=guardrails))
    held = settle(core, views("tea")).decisions[-1]
    assert (held.items, held.held_until is not None) == (("pot", "cup"), True)
    core.adopt(shop(guardrails=guardrails, switches={"items_out_of_stock": gone}))
    morning = settle(core, [tick(START + 9 * HOUR, 0)])
    assert [action.payload["items"] for action in morning.actions] == ([shown] if shown else [])
    assert [cut.code for cut in morning.decisions[0].suppressed] == ([] if shown else ["nothing_to_recommend"])


def test_a_list_of_the_receivers_is_left_to_them() -> None:
    settled = settle(partition(Rules(), shop(listed="new-arrivals")), views("tea"))
    assert settled.actions[-1].payload == {"list": "new-arrivals", "count": 2}
    assert b'"items"' not in settled.decisions[-1].model_dump_json().encode()


def test_a_list_without_items_is_refused() -> None:
    with pytest.raises(ValidationError, match="the list together is filled from `items`"):
        shop(items=None)
