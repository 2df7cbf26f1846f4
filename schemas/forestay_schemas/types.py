"""Types the contracts share: event names, action kinds, bounded strings and times."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BeforeValidator,
    PlainSerializer,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The end of the year 9998: one year of room for arithmetic with windows.
MAX_EPOCH_MILLISECONDS = 253_370_764_799_999


class EventName(StrEnum):
    """What a user did: all of GA4's e-commerce events, plus a few of the shop floor."""

    PAGE_VIEW = "page_view"
    SEARCH = "search"
    VIEW_ITEM_LIST = "view_item_list"
    VIEW_ITEM = "view_item"
    ADD_TO_CART = "add_to_cart"
    REMOVE_FROM_CART = "remove_from_cart"
    ADD_TO_WISHLIST = "add_to_wishlist"
    BEGIN_CHECKOUT = "begin_checkout"
    PURCHASE = "purchase"
    REFUND = "refund"
    LOGIN = "login"
    SIGN_UP = "sign_up"
    REVIEW = "review"
    CONTACT_SUPPORT = "contact_support"
    VIEW_CART = "view_cart"
    SELECT_ITEM = "select_item"
    VIEW_PROMOTION = "view_promotion"
    SELECT_PROMOTION = "select_promotion"
    ADD_SHIPPING_INFO = "add_shipping_info"
    ADD_PAYMENT_INFO = "add_payment_info"


class ConsentName(StrEnum):
    """What a user says of a channel by which they may be met: no event of the shop, and no feature counts it."""

    GRANTED = "consent_granted"
    WITHDRAWN = "consent_withdrawn"


class ActionKind(StrEnum):
    """The families of retention action."""

    RECOMMENDATION = "recommendation"
    PROMOTION = "promotion"
    LOYALTY = "loyalty"
    OUTREACH = "outreach"
    MESSAGE = "message"
    REVIEW_RISK = "review_risk"


class GroupedBy(StrEnum):
    """What tells the group of a user whose offers bear a price of parity."""

    TIER = "tier"
    COUNTRY = "country"


class Rung(StrEnum):
    """Where a churn probability came from, best first (design D10)."""

    MODEL = "model"
    CACHED = "cached"
    RULE = "rule"


class TriggerKind(StrEnum):
    """What made the user worth a score; at a release an action that waited is judged again."""

    EVENT = "event"
    SILENCE = "silence"
    PATTERN = "pattern"
    RELEASE = "release"


def rfc3339(moment: datetime) -> str:
    """Writes a moment as RFC 3339 in UTC with milliseconds, as every output topic has it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _from_epoch_milliseconds(value: Any) -> Any:
    """Reads an integer as epoch milliseconds; pydantic alone would guess between seconds and milliseconds."""
    if isinstance(value, bool | float) or (isinstance(value, str) and "-" not in value):
        message = "a time is RFC 3339, for instance 2026-01-31T12:00:00Z, or integer epoch milliseconds"
        raise ValueError(message)
    if isinstance(value, int):
        if not 0 <= value <= MAX_EPOCH_MILLISECONDS:
            message = f"epoch milliseconds must lie between 0 and {MAX_EPOCH_MILLISECONDS}"
            raise ValueError(message)
        return EPOCH + timedelta(milliseconds=value)
    return value


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        message = "a time needs a zone: write it as RFC 3339, for instance 2026-01-31T12:00:00Z"
        raise ValueError(message)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        message = "lies beyond the calendar"
        raise ValueError(message) from error
    if moment < EPOCH:
        message = "a time before 1970 is no event of a shop"
        raise ValueError(message)
    return moment


def _json_number(value: Any) -> Any:
    """Refuses what pydantic would turn into a number: true, and texts that look like one."""
    if isinstance(value, bool | str):
        message = "must be a number"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes no TypeError
    return value


#: No control characters: they have no place in an id, and internal records use them for their own keys.
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Label = Annotated[str, StringConstraints(max_length=1_000)]
Timestamp = Annotated[
    datetime,
    BeforeValidator(_from_epoch_milliseconds, json_schema_input_type=datetime | int),
    AfterValidator(_aware),
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
FiniteFloat = Annotated[float, AllowInfNan(False), Strict()]
#: Comes after the bounds: a bound after a validator is lost to the JSON Schema. Strict would refuse 2.0.
Integral = BeforeValidator(_json_number)
