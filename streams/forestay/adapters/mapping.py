"""The contract of a mapping file: where each field of a click event comes from (docs/adapters.md)."""

from collections.abc import Iterator
from decimal import Decimal
from string import Formatter
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from forestay.adapters.paths import check_path
from forestay.adapters.values import EPOCH_UNITS, RFC3339
from forestay_schemas.types import ConsentName, EventName

#: What names an item; the top level of an event and each of its items have them alike.
ITEM_FIELDS: Final = ("item_id", "item_name", "category", "brand", "price", "quantity")
REQUIRED: Final = ("event", "event_id", "user_id", "ts")
_KINDS: Final = ("path", "first", "constant", "template", "hash", "join")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is no time zone of the IANA database, such as Europe/London") from error
    return name


def _check_mode(mode: str) -> str:
    if mode in EPOCH_UNITS or mode == RFC3339 or "%" in mode:
        return mode
    raise ValueError(f"{mode!r} is none of rfc3339, {', '.join(EPOCH_UNITS)}, nor a pattern such as '%Y-%m-%d %H:%M'")


def _check_template(template: str) -> str:
    for path in template_paths(template):
        check_path(path)
    return template


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _spelled_out(value: Any) -> Any:
    """A plain text is a path, a list is the first of several."""
    if isinstance(value, str):
        return {"path": value}
    return {"first": value} if isinstance(value, list) else value


def template_paths(template: str) -> list[str]:
    """Returns the paths between the braces of `template`, in order.

    Raises:
        ValueError: a brace is left open, or the braces hold nothing.
    """
    parts = [part for part in Formatter().parse(template) if part[1] is not None]
    paths = [name for _, name, _, _ in parts if name is not None]
    if not paths or not all(paths) or any(form or conversion for _, _, form, conversion in parts):
        raise ValueError(f"{template!r} names no path: write one between braces, such as {{user}}-{{session}}")
    return paths


Path = Annotated[str, AfterValidator(check_path)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_listed), Field(min_length=1, max_length=50)]
Text = Annotated[str, Field(max_length=1_000)]
Short = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(_Part):
    """Where one value comes from (one of the first six), and what is made of it."""

    path: Path | None = None
    first: Paths | None = None
    constant: JsonValue = None
    template: Annotated[Text, AfterValidator(_check_template)] | None = None
    hash: Paths | None = None
    join: Paths | None = None
    values: dict[str, str | None] | None = Field(default=None, description="foreign value: ours; null leaves it out")
    otherwise: Literal["keep", "leave_out", "skip", "fail"] | None = None
    missing: tuple[str, ...] = Field(default=(), description="texts that mean 'none', here")
    split: Short | None = Field(default=None, description="what parts a category path; it becomes /")
    time: Annotated[tuple[Annotated[str, AfterValidator(_check_mode)], ...], BeforeValidator(_listed)] = ()
    zone: Annotated[str, AfterValidator(_check_zone)] | None = None
    whole: bool = Field(default=False, description="12.0 is the id 12")
    absolute: bool = False
    decimal_comma: bool = False
    divide_by: Decimal = Field(default=Decimal(1), gt=0, description="100 where prices are in cents")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        kinds = [kind for kind in _KINDS if kind in self.model_fields_set]
        if len(kinds) != 1:
            raise ValueError(
                f"a value comes from exactly one of {', '.join(_KINDS)}; here: {', '.join(kinds) or 'none'}"
            )
        if self.otherwise is not None and self.values is None:
            raise ValueError("otherwise says what to do with a value that is not among `values`: give them")
        local = [mode for mode in self.time if "%" in mode and "%z" not in mode]
        if local and self.zone is None:
            raise ValueError(f"{local[0]!r} holds no offset (%z): name the zone these times were written in")
        return self


def _check_plain(source: Source) -> Source:
    if source.time or source.zone:
        raise ValueError("time and zone are for ts")
    return source


def _check_moment(source: Source) -> Source:
    if not source.time:
        raise ValueError("say how the time is written, for instance {path: created_at, time: rfc3339}")
    return source


def _check_events(source: Source) -> Source:
    named = list((source.values or {}).values())
    if "constant" in source.model_fields_set:
        named.append(str(source.constant))
    known = {str(name) for name in (*EventName, *ConsentName)}
    unknown = sorted({name for name in named if name is not None} - known)
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not an event of ours; these are: {', '.join(sorted(known))}")
    return _check_plain(source)


Value = Annotated[Source, BeforeValidator(_spelled_out), AfterValidator(_check_plain)]
Moment = Annotated[Source, BeforeValidator(_spelled_out), AfterValidator(_check_moment)]
Event = Annotated[Source, BeforeValidator(_spelled_out), AfterValidator(_check_events)]


class ItemSources(_Part):
    """Where the fields of an item come from."""

    item_id: Value | None = None
    item_name: Value | None = None
    category: Value | None = None
    brand: Value | None = None
    price: Value | None = None
    quantity: Value | None = None


class Items(ItemSources):
    """Where the items come from: a list of objects, and in each the fields of an item."""

    each: Paths


class Sources(ItemSources):
    """Where the fields of a click event come from. Items given, the fields of one item are left out."""

    event_id: Value | None = None
    user_id: Value | None = None
    event: Event | None = None
    ts: Moment | None = None
    session_id: Value | None = None
    anonymous_id: Value | None = None
    items: Items | None = None
    currency: Value | None = None
    order_id: Value | None = None
    query: Value | None = None
    rating: Value | None = None
    channel: Value | None = None
    device: Value | None = None
    country: Value | None = None
    timezone: Value | None = None
    properties: dict[Short, Value] | None = None

    def single(self) -> Iterator[tuple[str, Source]]:
        """Yields the fields that are given and have one value."""
        for name in type(self).model_fields:
            source = getattr(self, name)
            if isinstance(source, Source):
                yield name, source


class Rule(_Part):
    """For records of which `when` holds: skip them, or let `fields` go before the mapping's own."""

    when: Path | None = None
    skip: Short | None = None
    fields: Sources | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.skip is None) == (self.fields is None):
            raise ValueError("a rule has either `skip`, with a reason, or `fields`")
        return self


class Pairs(_Part):
    """A list of keys with values, read as an object: `event_params` of GA4."""

    key: Path
    value: Paths


class CsvForm(_Part):
    """How a CSV file is written."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    columns: tuple[Short, ...] | None = Field(default=None, description="where the file has no header")
    fallback_encoding: Literal["latin-1"] | None = Field(default=None, description="of lines that are not UTF-8")


class Mapping(_Part):
    """A whole mapping file. The first rule that holds applies; none: the fields alone."""

    name: Short
    description: Text
    source: Text = Field(default="", description="where the foreign format is documented")
    csv: CsvForm = CsvForm()
    missing: tuple[str, ...] = Field(default=(), description="texts that mean 'none', everywhere")
    pairs: dict[Short, Pairs] = Field(default_factory=dict)
    define: dict[Short, Paths] = Field(default_factory=dict, description="names for the first of several paths")
    rules: Annotated[tuple[Rule, ...], Field(max_length=200)] = ()
    fields: Sources = Sources()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for place, sources in self.plans():
            lacking = [name for name in REQUIRED if getattr(sources, name) is None]
            if lacking:
                raise ValueError(f"{place}: nothing says where {', '.join(lacking)} come from")
        for number, rule in enumerate(self.rules[:-1], start=1):
            if rule.when is None:
                raise ValueError(f"rules.{number - 1}: has no `when`, so the rules after it never apply")
        return self

    def plans(self) -> Iterator[tuple[str, Sources]]:
        """Yields what events can be made of: each rule's fields over the common ones, then the common ones alone."""
        for number, rule in enumerate(self.rules):
            if rule.fields is not None:
                yield f"rules.{number}", over(rule.fields, self.fields)
        if not self.rules or self.rules[-1].when is not None:
            yield "fields", self.fields


def over(upper: Sources, lower: Sources) -> Sources:
    """Returns `lower` with what `upper` gives instead; a null in `upper` takes a field away."""
    return lower.model_copy(update={name: getattr(upper, name) for name in upper.model_fields_set})
