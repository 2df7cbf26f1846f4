"""The committed JSON Schemas are the contracts' own, and agree with them on examples good and bad."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from support.builders import click, partition, settle, source

from forestay_schemas.__main__ import CONTRACTS, main, schema_text

FOLDER = Path(__file__).parents[2] / "schemas" / "json"


def committed(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def accepts(model: type[BaseModel], content: Any) -> bool:
    try:
        model.model_validate_json(json.dumps(content))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_committed_schema_is_the_generated_one(name: str) -> None:
    text = (FOLDER / f"{name}.schema.json").read_text()
    assert text == schema_text(name), "run `python -m forestay_schemas`"


def test_there_is_a_schema_for_each_contract_and_no_other(tmp_path: Path) -> None:
    main(tmp_path / "new")
    written = {path.name for path in (tmp_path / "new").iterdir()}
    assert written == {path.name for path in FOLDER.iterdir()} == {f"{name}.schema.json" for name in CONTRACTS}


@pytest.mark.parametrize(
    "event",
    [
        click(),
        click(event="purchase", price=0, quantity=1, currency="EUR", order_id="o", item_id="i", category="a/b"),
        click() | {"ts": "2026-01-31T12:00:00.000Z"},
        click(unknown={"any": ["thing"]}, quantity=2.0),
        click(price=None, country=None, properties={"a": [1, {"b": None}]}),
    ],
)
def test_good_events_are_good_by_schema_and_by_contract(event: dict[str, Any]) -> None:
    assert committed("click_event").is_valid(event)
    assert accepts(CONTRACTS["click_event"], event)


@pytest.mark.parametrize("missing", ["event_id", "user_id", "event", "ts"])
def test_required_fields_are_required_by_both(missing: str) -> None:
    event = click()
    del event[missing]
    assert not committed("click_event").is_valid(event)
    assert not accepts(CONTRACTS["click_event"], event)


@pytest.mark.parametrize(
    "more",
    [
        *({"event_id": ""}, {"event_id": "x" * 201}, {"event_id": "a\u0000"}, {"user_id": 5}, {"event": "Purchase"}),
        *({"price": -1}, {"price": 2e9}, {"quantity": 0}, {"quantity": 1.5}, {"currency": "eur"}, {"rating": 101}),
        *({"price": True}, {"price": "12.5"}, {"quantity": True}, {"quantity": "3"}, {"rating": False}),
        *({"category": "c" * 1_001}, {"properties": [1]}, {"properties": None}, {"ts": 1.5}, {"ts": None}),
    ],
)
def test_bad_events_are_bad_by_both(more: dict[str, Any]) -> None:
    assert not committed("click_event").is_valid(click() | more)
    assert not accepts(CONTRACTS["click_event"], click() | more)


def test_outputs_have_one_form_of_time_and_bounded_probabilities() -> None:
    for name, moment in (("decision", "decided_at"), ("retention_action", "expires_at")):
        schema = json.loads((FOLDER / f"{name}.schema.json").read_text())
        assert schema["properties"][moment]["type"] == "string"
        bounds = schema["$defs"]["Churn"]["properties"]["probability"]
        assert (bounds["minimum"], bounds["maximum"]) == (0, 1)


def test_what_the_core_writes_is_valid_by_the_schemas() -> None:
    settled = settle(partition(), [source(click(event="purchase", price=100), 0)])
    for name, record in (("decision", settled.decisions[0]), ("retention_action", settled.actions[0])):
        content = json.loads(record.model_dump_json())
        assert list(committed(name).iter_errors(content)) == []
        assert not committed(name).is_valid(content | {"surprise": 1})
