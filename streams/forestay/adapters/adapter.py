"""A compiled mapping: a foreign record in, a click event out, or the reason why there is none. Pure."""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from typing import Any, NamedTuple

from pydantic import ValidationError

from forestay.adapters.errors import ConversionError, SkipRecord
from forestay.adapters.mapping import ITEM_FIELDS, REQUIRED, Items, ItemSources, Mapping, Pairs, Source, Sources
from forestay.adapters.paths import Getter, Reference, compile_path, first_of, holds, references
from forestay.adapters.sources import Context, compile_source, hashed_by, missing_test, read_by
from forestay.core.decoding.decode import describe
from forestay.core.errors import DeadLetter
from forestay_schemas.click_event import ClickEvent


class Mapped(NamedTuple):
    """The record is this event, valid by its contract."""

    event: ClickEvent

    @property
    def key(self) -> bytes:
        """Returns the key of its record on the clickstream: the user's id in UTF-8."""
        return self.event.user_id.encode()

    @property
    def value(self) -> bytes:
        """Returns the value of its record on the clickstream: JSON without what is not there."""
        return self.event.model_dump_json(exclude_defaults=True).encode()


class Skipped(NamedTuple):
    """The record is no event of a shop, by this rule of the mapping."""

    reason: str


class _Rule(NamedTuple):
    place: str
    when: Getter | None
    skip: str | None
    plan: "_Plan | None"

    def applies(self, record: dict[str, Any]) -> bool:
        if self.when is None:
            return True
        try:
            return holds(self.when(record))
        except ConversionError as error:
            raise ConversionError(f"{self.place}.when: {error}") from error


class Adapter:
    """Maps records of one foreign format."""

    def __init__(self, mapping: Mapping) -> None:
        """Compiles `mapping`."""
        context = Context(frozenset(mapping.missing), mapping.name)
        plans = {place: _Plan(sources, context) for place, sources in mapping.plans()}
        self.mapping = mapping
        self._pairs = {name: _PairReader(pairs) for name, pairs in mapping.pairs.items()}
        is_missing = missing_test(context.missing)
        self._defined = [(name, first_of(paths, is_missing)) for name, paths in mapping.define.items()]
        self._rules = [
            _Rule(
                f"rules.{number}",
                None if rule.when is None else compile_path(rule.when),
                rule.skip,
                plans.get(f"rules.{number}"),
            )
            for number, rule in enumerate(mapping.rules)
        ]
        if "fields" in plans:
            self._rules.append(_Rule("fields", None, None, plans["fields"]))

    def map(self, record: dict[str, Any]) -> Mapped | Skipped:
        """Maps one record, as JSON or a CSV row by its header.

        Raises:
            DeadLetter: code `mapping`: a value is missing or cannot be read; code `contract`: what came out
                breaks the contract of click events.
        """
        try:
            prepared = self._prepare(record)
            values = self._plan_for(prepared).values(prepared)
        except SkipRecord as skip:
            return Skipped(str(skip))
        except ConversionError as error:
            raise DeadLetter("mapping", str(error)) from error
        except RecursionError as error:
            raise DeadLetter("mapping", "the record is nested too deep") from error
        try:
            return Mapped(ClickEvent.model_validate(values))
        except ValidationError as error:
            raise DeadLetter(*describe(error)) from error

    def paired(self, record: dict[str, Any]) -> dict[str, Any]:
        """Returns the record with its lists of pairs as objects."""
        if not self._pairs:
            return record
        return record | {name: read(record[name]) for name, read in self._pairs.items() if name in record}

    def _prepare(self, record: dict[str, Any]) -> dict[str, Any]:
        """Returns the record as the paths see it: pairs read, names defined."""
        paired = self.paired(record)
        found = {name: value for name, find in self._defined if (value := find(paired)) is not None}
        return paired | found if found else paired

    def _plan_for(self, record: dict[str, Any]) -> "_Plan":
        rule = next(rule for rule in self._rules if rule.applies(record))
        if rule.plan is None:
            raise SkipRecord(rule.skip)
        return rule.plan

    def reads(self) -> tuple[set[Reference], set[Reference]]:
        """Returns the places in a paired record that become part of an event or decide about it, and those hashed.

        A place stands for all below it; a hashed place only for itself.
        """
        expressions = [rule.when for rule in self.mapping.rules if rule.when]
        expressions += [path for paths in self.mapping.define.values() for path in paths]
        used = {place for expression in expressions for place in references(expression)}
        hashed: set[Reference] = set()
        for _, sources in self.mapping.plans():
            for source in _all_sources(sources):
                used |= read_by(source)
                hashed |= hashed_by(source)
            if sources.items is not None:
                used |= _items_reads(sources.items)
        return used, hashed


class _Plan:
    """The fields of one kind of record, in the order in which they are looked up."""

    def __init__(self, sources: Sources, context: Context) -> None:
        given = dict(sources.single())
        # The event first: that a record is none of a shop goes before what else may be wrong with it.
        order = [*REQUIRED, *(name for name in given if name not in REQUIRED)]
        self._fields = [(name, compile_source(name, given[name], context)) for name in order if name in given]
        self._items = None if sources.items is None else _ItemReader(sources.items, context)
        self._properties = [
            (name, compile_source("properties", source, context))
            for name, source in (sources.properties or {}).items()
        ]

    def values(self, record: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        items = None
        for name, getter in self._fields:
            value = _named(name, getter, record)
            if value is not None:
                values[name] = value
            elif name in REQUIRED:
                raise ConversionError(f"{name}: the record holds none")
        if self._items is not None:
            items = self._items(record)
        if items:
            values = {name: value for name, value in values.items() if name not in ITEM_FIELDS}
            values["items"] = items
        if values.get("anonymous_id") == values["user_id"]:
            values.pop("anonymous_id", None)
        properties = {name: _named(f"properties.{name}", getter, record) for name, getter in self._properties}
        if properties:
            values["properties"] = {name: value for name, value in properties.items() if value is not None}
        return values


class _ItemReader:
    """Reads the items of a record; None if it has none."""

    def __init__(self, items: Items, context: Context) -> None:
        self._each = first_of(items.each, lambda value: value in (None, []))
        self._fields = [(name, compile_source(name, source, context)) for name, source in _item_sources(items)]

    def __call__(self, record: dict[str, Any]) -> list[dict[str, Any]] | None:
        found = self._each(record)
        if found is None:
            return None
        elements = [found] if isinstance(found, dict) else found
        if not isinstance(elements, list) or not all(isinstance(element, dict) for element in elements):
            raise ConversionError("items: is not a list of objects")
        return [self._item(number, element) for number, element in enumerate(elements)]

    def _item(self, number: int, element: dict[str, Any]) -> dict[str, Any]:
        item = {name: _named(f"items.{number}.{name}", getter, element) for name, getter in self._fields}
        return {name: value for name, value in item.items() if value is not None}


class _PairReader:
    """Makes an object of a list of keys with values; anything else stays what it is."""

    def __init__(self, pairs: Pairs) -> None:
        self._key = compile_path(pairs.key)
        # An empty text is a value; only null means that another of the paths holds it.
        self._value = first_of(pairs.value, lambda value: value is None)

    def __call__(self, found: Any) -> Any:
        if not isinstance(found, list):
            return found
        return {key: self._value(pair) for pair in found if isinstance(key := self._key(pair), str)}


def _named(name: str, getter: Getter, record: dict[str, Any]) -> Any:
    try:
        return getter(record)
    except ConversionError as error:
        raise ConversionError(f"{name}: {error}") from error


def _item_sources(items: ItemSources) -> Iterator[tuple[str, Source]]:
    for name in ITEM_FIELDS:
        source = getattr(items, name)
        if source is not None:
            yield name, source


def _all_sources(sources: Sources) -> Sequence[Source]:
    properties: MappingOf[str, Source] = sources.properties or {}
    return [*(source for _, source in sources.single()), *properties.values()]


def _items_reads(items: Items) -> set[Reference]:
    """Returns what is read below each of the lists items may be in."""
    below = {place for _, source in _item_sources(items) for place in read_by(source)}
    lists = {place for expression in items.each for place in references(expression)}
    return {start + place for start in lists for place in below}
