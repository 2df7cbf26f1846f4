"""The contract of the `clickstream` topic."""

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from forestay_schemas.types import EventName, FiniteFloat, Identifier, Integral, Label, Timestamp

#: A record's `properties` may take this many bytes as JSON: enough for a product's attributes, too small
#: for one user to fill a worker's memory.
MAX_PROPERTIES_BYTES = 16_384


class ClickEvent(BaseModel):
    """One thing a user did in the shop.

    `event_id`, `user_id`, `event` and `ts` are required. An event id counts once, whatever is sent twice.
    Lines of one order share `order_id`, and the order counts once. Unknown fields move to `properties`.
    """

    # Unknown fields are taken and moved, so nothing is left to forbid: by the JSON Schema they are welcome.
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, json_schema_extra={"additionalProperties": True}
    )

    event_id: Identifier
    user_id: Identifier
    event: EventName
    ts: Timestamp
    session_id: Identifier | None = None
    anonymous_id: Identifier | None = None
    item_id: Identifier | None = None
    item_name: Label | None = None
    category: Label | None = Field(default=None, description="a path: a/b/c")
    brand: Label | None = None
    price: Annotated[FiniteFloat, Field(ge=0, le=1e9)] | None = Field(default=None, description="unit price")
    quantity: Annotated[int, Field(ge=1, le=1_000_000), Integral] | None = None
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
    def _bounded_properties(self) -> Self:
        if self.properties and len(json.dumps(self.properties)) > MAX_PROPERTIES_BYTES:
            message = f"properties take more than {MAX_PROPERTIES_BYTES} bytes"
            raise ValueError(message)
        return self
