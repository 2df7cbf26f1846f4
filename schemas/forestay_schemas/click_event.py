"""The contract of the `clickstream` topic."""

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from forestay_schemas.types import ConsentName, EventName, FiniteFloat, Identifier, Integral, Label, Timestamp

#: A record's `properties` may take this many bytes as JSON: enough for a product's attributes, too small
#: for one user to fill a worker's memory.
MAX_PROPERTIES_BYTES = 16_384
#: GA4's own bound on the items of an event.
MAX_ITEMS = 200
_OF_ONE_ITEM = ("item_id", "item_name", "category", "brand", "price", "quantity")

UnitPrice = Annotated[FiniteFloat, Field(ge=0, le=1e9)]
Quantity = Annotated[int, Field(ge=1, le=1_000_000), Integral]


_NAMES = (*EventName, *ConsentName)


def _one_of_ours(value: Any) -> Any:
    """Refuses other names at once: a union would list what is wrong by each of its parts."""
    if value not in _NAMES:
        raise PydanticCustomError("enum", "Input should be one of {names}", {"names": ", ".join(_NAMES)})
    return value


class Item(BaseModel):
    """One item of an event that carries several. Names one by `item_id` or by `item_name`."""

    # What an item holds beyond these is of no use to features, and an event may carry 200: it is not kept.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    item_id: Identifier | None = None
    item_name: Label | None = None
    category: Label | None = Field(default=None, description="a path: a/b/c")
    brand: Label | None = None
    price: UnitPrice | None = Field(default=None, description="unit price")
    quantity: Quantity | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.item_id is None and not self.item_name:
            message = "an item needs item_id or item_name"
            raise ValueError(message)
        return self


class ClickEvent(BaseModel):
    """One thing a user did in the shop.

    `event_id`, `user_id`, `event` and `ts` are required. An event id counts once, whatever is sent twice.
    Lines of one order share `order_id`, and the order counts once. An event's item is named at the top level,
    or several in `items`. `anonymous_id` says that this id and the user are one. Unknown fields move to
    `properties`. Of `consent_granted` and `consent_withdrawn` the `channel` is what may, or may not, be used.
    """

    # Unknown fields are taken and moved, so nothing is left to forbid: by the JSON Schema they are welcome.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra={"additionalProperties": True}
    )

    event_id: Identifier
    user_id: Identifier
    event: Annotated[EventName | ConsentName, BeforeValidator(_one_of_ours)]
    ts: Timestamp
    session_id: Identifier | None = None
    anonymous_id: Identifier | None = None
    item_id: Identifier | None = None
    item_name: Label | None = None
    category: Label | None = Field(default=None, description="a path: a/b/c")
    brand: Label | None = None
    price: UnitPrice | None = Field(default=None, description="unit price")
    quantity: Quantity | None = None
    # The first error ends it: to list those of a megabyte of empty items would take seconds.
    items: Annotated[tuple[Item, ...], FailFast()] = Field(
        default=(), max_length=MAX_ITEMS, description="the event's items, where it has several"
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(default=None, description="ISO 4217")
    order_id: Identifier | None = None
    query: Label | None = None
    rating: Annotated[FiniteFloat, Field(ge=0, le=100)] | None = None
    channel: Label | None = None
    device: Label | None = None
    country: Label | None = None
    timezone: Label | None = Field(default=None, description="IANA name")
    properties: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _unknown_fields_to_properties(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        unknown = data.keys() - cls.model_fields.keys()
        if not unknown:
            return data
        kept = {name: value for name, value in data.items() if name not in unknown}
        properties = data.get("properties", {})
        if isinstance(properties, dict):
            kept["properties"] = {**{name: data[name] for name in sorted(unknown)}, **properties}
        return kept

    @model_validator(mode="after")
    def _items_in_one_place(self) -> Self:
        twice = [name for name in _OF_ONE_ITEM if self.items and getattr(self, name) is not None]
        if twice:
            message = f"an event with items names no {twice[0]} beside them"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _bounded_properties(self) -> Self:
        if self.properties and len(json.dumps(self.properties)) > MAX_PROPERTIES_BYTES:
            message = f"properties take more than {MAX_PROPERTIES_BYTES} bytes"
            raise ValueError(message)
        return self
