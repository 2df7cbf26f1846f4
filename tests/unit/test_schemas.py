"""The contracts: what they take and refuse, how they write times, and what the package offers by name."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from support.builders import click, partition, settle, source

import forestay_schemas
from forestay_schemas import (
    ActionKind,
    ClickEvent,
    ClockRecord,
    Decision,
    EventName,
    RetentionAction,
    Rung,
    TriggerKind,
    rfc3339,
)

ONE = {"item_id": "i", "item_name": "n", "category": "c", "brand": "b", "price": 1, "quantity": 1}
MOMENT = datetime(2026, 1, 31, 12, 0, 0, 1_999, tzinfo=UTC)


def outputs() -> tuple[Decision, RetentionAction]:
    """Returns a decision and its action as the core makes them."""
    settled = settle(partition(), [source(click(event="purchase", price=100), 0)])
    return settled.decisions[0], settled.actions[0]


def test_the_package_offers_exactly_these_names() -> None:
    contracts = ["ActionFeedback", "DecisionOutcome", "Fragments"]
    contracts += [
        "Candidate",
        "CatalogueRecord",
        "Churn",
        "ClickEvent",
        "ClockRecord",
        "Decision",
        "ExperimentArm",
        "Item",
    ]
    contracts += [
        "LedgerBatch",
        "LedgerCommit",
        "LedgerRecord",
        "LedgerStart",
        "PolicyStamp",
        "Reason",
        "RetentionAction",
        "Suppressed",
        "Trigger",
    ]
    words = ["ActionKind", "EventName", "FeedbackKind", "Rung", "TriggerKind"]
    assert set(forestay_schemas.__all__) == {*contracts, *words, "rfc3339"}
    assert all(hasattr(forestay_schemas, name) for name in forestay_schemas.__all__)


def test_event_names_are_the_designs_and_in_their_stored_order() -> None:
    """The order is part of state records and of the model's input: append only."""
    browsing = ["page_view", "search", "view_item_list", "view_item", "add_to_cart", "remove_from_cart"]
    buying = ["add_to_wishlist", "begin_checkout", "purchase", "refund"]
    further = ["view_cart", "select_item", "view_promotion", "select_promotion", "add_shipping_info"]
    further += ["add_payment_info"]
    assert list(EventName) == [*browsing, *buying, "login", "sign_up", "review", "contact_support", *further]
    assert set(ActionKind) == {"recommendation", "promotion", "loyalty", "outreach", "message", "review_risk"}
    assert list(Rung) == ["model", "cached", "rule"]
    assert list(TriggerKind) == ["event", "silence", "pattern", "release"]


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (MOMENT, "2026-01-31T12:00:00.001Z"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-01-31T06:30:00.000Z"),
        (datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_written_as_rfc_3339_in_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
    assert json.loads(ClockRecord(ts=moment).model_dump_json()) == {"ts": text}


def test_every_time_of_the_outputs_has_milliseconds_and_z() -> None:
    decision, action = outputs()
    for record in (decision, action):
        content = json.loads(record.model_dump_json())
        times = [value for name, value in content.items() if name.endswith("_at")]
        assert times
        assert all(len(value) == 24 and value.endswith("Z") for value in times)


@pytest.mark.parametrize("index", [0, 1])
def test_outputs_survive_their_own_json_to_the_byte(index: int) -> None:
    record = outputs()[index]
    again = type(record).model_validate_json(record.model_dump_json())
    assert again == record
    assert again.model_dump_json() == record.model_dump_json()


def nested(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns every object within an output that has a contract of its own."""
    keys = ("trigger", "churn", "policy")
    lists = ("reasons", "candidates", "suppressed")
    return [content, *(content[key] for key in keys), *(part for key in lists for part in content.get(key, [])[:1])]


@pytest.mark.parametrize("index", [0, 1])
def test_output_contracts_refuse_unknown_fields_at_every_level(index: int) -> None:
    record = outputs()[index]
    for position in range(len(nested(json.loads(record.model_dump_json())))):
        content = json.loads(record.model_dump_json())
        nested(content)[position]["surprise"] = 1
        with pytest.raises(ValidationError, match="surprise"):
            type(record).model_validate(content)


#: Fields of decisions that older recordings do not have.
OF_LATER = {
    "embedding",
    "kind",
    "channel",
    "marketing",
    "experiments",
    "budgets",
    "items",
    "items_by",
    "held_until",
    "parity",
    "releases",
    "timezone",
}


@pytest.mark.parametrize("index", [0, 1])
def test_every_field_of_the_outputs_is_required(index: int) -> None:
    """An absent field would leave open whether it is null or was forgotten: nulls are written.

    But for those that came later, which recordings of before do not have.
    """
    record = outputs()[index]
    for name in type(record).model_fields.keys() - OF_LATER:
        content = json.loads(record.model_dump_json())
        del content[name]
        with pytest.raises(ValidationError, match=name):
            type(record).model_validate(content)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.1])
def test_no_output_holds_a_number_that_is_no_probability(bad: float) -> None:
    content = json.loads(outputs()[0].model_dump_json())
    content["churn"]["probability"] = bad
    with pytest.raises(ValidationError, match="probability"):
        Decision.model_validate(content)


@pytest.mark.parametrize("model", [ClickEvent, ClockRecord, Decision, RetentionAction])
def test_records_are_frozen(model: type[BaseModel]) -> None:
    assert model.model_config["frozen"] is True
    assert model.model_config["extra"] == "forbid"


def test_a_clock_record_has_one_field() -> None:
    with pytest.raises(ValidationError, match="extra"):
        ClockRecord.model_validate({"ts": 1, "more": 1})


def test_unknown_fields_of_an_event_are_kept_in_properties_and_its_own_come_first() -> None:
    event = ClickEvent.model_validate(click(utm="x", b=[1, None], properties={"utm": "own"}))
    assert event.properties == {"utm": "own", "b": [1, None]}
    assert ClickEvent.model_validate(click(utm="x")).properties == {"utm": "x"}
    assert ClickEvent.model_validate(click()).properties == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"items": [{"item_id": "i"}] * 200},
        {"items": [{"item_name": "n", "price": 0, "quantity": 1, "affiliation": "kept nowhere"}]},
        {"items": [], "item_id": "i"},
    ],
)
def test_an_event_names_its_items_at_the_top_or_in_a_list(fields: dict[str, Any]) -> None:
    event = ClickEvent.model_validate(click(**fields))
    assert len(event.items) == len(fields["items"])
    assert ClickEvent.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"items": [{"item_id": "i"}] * 201}, "items"),
        ({"items": [{"price": 1}]}, "needs item_id or item_name"),
        ({"items": [{"item_name": ""}]}, "needs item_id or item_name"),
        ({"items": [{"item_id": "i", "quantity": 0}]}, "items.0.quantity"),
        ({"items": [{"item_id": "i", "price": float("inf")}]}, "items.0.price"),
        *(({"items": [{"item_id": "i"}], name: value}, f"no {name} beside") for name, value in ONE.items()),
    ],
)
def test_items_in_two_places_or_out_of_bounds_are_refused(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        ClickEvent.model_validate(click(**fields))
