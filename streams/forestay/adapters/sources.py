"""A mapping's sources, compiled: each becomes one function from a record to a value, or None."""

from collections.abc import Callable, Iterator
from string import Formatter
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from forestay.adapters.errors import ConversionError, SkipRecord
from forestay.adapters.mapping import Source, template_paths
from forestay.adapters.paths import Getter, Reference, compile_path, first_of, references
from forestay.adapters.values import NumberForm, to_moment, to_number, to_text, to_whole_number, without_zero_fraction
from forestay.core.hashing import bytes_identifier

#: A label is cut here (characters), where the contract ends: a long title must not cost the event.
_MAX_LABEL: Final = 1_000
#: What of a foreign name a reason shows (characters).
_SHOWN: Final = 80
_LABELS: Final = frozenset(
    {"item_name", "category", "brand", "query", "channel", "device", "country", "timezone"},
)
_MISSING: Final = object()


class Context(NamedTuple):
    """What all sources of a mapping share: the texts that mean none, and the name ids are salted with."""

    missing: frozenset[str]
    name: str


def compile_source(field: str, source: Source, context: Context) -> Getter:
    """Returns a function from a record to the value of `field`.

    The function raises ConversionError if the value cannot be what the field needs, SkipRecord if the mapping
    says that a record with this value is to be skipped.
    """
    is_missing = missing_test(context.missing | frozenset(source.missing))
    raw = _raw(source, context, is_missing)
    convert = _converter(field, source)
    translate = _translator(field, source)

    def get(record: Any) -> Any:
        value = raw(record)
        if is_missing(value):
            return None
        if translate is not None:
            value = translate(value)
        return None if value is None else convert(value)

    return get


def missing_test(texts: frozenset[str]) -> Callable[[Any], bool]:
    """Returns a test for values that mean none: null, texts of spaces, and `texts`, as text or number."""

    def is_missing(value: Any) -> bool:
        if value is None:
            return True
        if isinstance(value, str):
            return not (bare := value.strip()) or bare in texts
        return bool(texts) and isinstance(value, int | float) and str(value) in texts

    return is_missing


def read_by(source: Source) -> set[Reference]:
    """Returns the places in a record that `source` takes its value from; what only makes an id is left out."""
    expressions = [*([source.path] if source.path else []), *(source.first or ()), *(source.join or ())]
    if source.template is not None:
        expressions += template_paths(source.template)
    return {place for expression in expressions for place in references(expression)}


def hashed_by(source: Source) -> set[Reference]:
    """Returns the places in a record that `source` makes an id from."""
    return {place for expression in source.hash or () for place in references(expression)}


# -- where a value comes from ----------------------------------------------------------------------------


def _raw(source: Source, context: Context, is_missing: Callable[[Any], bool]) -> Getter:
    if source.path is not None:
        return compile_path(source.path)
    if source.first is not None:
        return first_of(source.first, is_missing)
    if source.template is not None:
        return _templated(source.template, is_missing)
    if source.hash is not None:
        return _hashed(source.hash, context.name, is_missing)
    if source.join is not None:
        return _joined(source.join, is_missing)
    return lambda _: source.constant


def _templated(template: str, is_missing: Callable[[Any], bool]) -> Getter:
    """A template with a value missing has none itself: half an id would name others too."""
    parts = [(text, None if path is None else compile_path(path)) for text, path, _, _ in Formatter().parse(template)]

    def fill(record: Any) -> str | None:
        filled = []
        for text, getter in parts:
            filled.append(text)
            if getter is not None:
                value = getter(record)
                if is_missing(value):
                    return None
                filled.append(to_text(value))
        return "".join(filled)

    return fill


def _hashed(expressions: tuple[str, ...], name: str, is_missing: Callable[[Any], bool]) -> Getter:
    """An id of 32 hexadecimal digits from the values as JSON with sorted keys; none where all are missing."""
    getters = [compile_path(expression) for expression in expressions]

    def digest(record: Any) -> str | None:
        values = [getter(record) for getter in getters]
        if all(is_missing(value) for value in values):
            return None
        return bytes_identifier(msgspec.json.encode([name, *values], order="deterministic"))

    return digest


def _joined(expressions: tuple[str, ...], is_missing: Callable[[Any], bool]) -> Getter:
    """A category path: levels from the top, a missing one left out."""
    getters = [compile_path(expression) for expression in expressions]

    def join(record: Any) -> str | None:
        return "/".join(to_text(value) for value in _present(getters, record, is_missing)) or None

    return join


def _present(getters: list[Getter], record: Any, is_missing: Callable[[Any], bool]) -> Iterator[Any]:
    for getter in getters:
        value = getter(record)
        if not is_missing(value):
            yield value


# -- what is made of it ----------------------------------------------------------------------------------


def _translator(field: str, source: Source) -> Getter | None:
    if source.values is None:
        return None
    values = source.values
    # An event without a name of ours is none of a shop; elsewhere an unknown value may well be right as it is.
    otherwise = source.otherwise or ("skip" if field == "event" else "keep")

    def translate(value: Any) -> Any:
        foreign = to_text(value)
        ours = values.get(foreign, _MISSING)
        if ours is not _MISSING:
            return ours
        if otherwise == "skip":
            raise SkipRecord(f"{field} {foreign[:_SHOWN]!r} is not mapped")
        if otherwise == "fail":
            raise ConversionError("is not among the values of the mapping")
        return value if otherwise == "keep" else None

    return translate


def _converter(field: str, source: Source) -> Getter:
    form = NumberForm(source.decimal_comma, source.absolute, source.divide_by)
    if field == "ts":
        zone = ZoneInfo(source.zone) if source.zone is not None else None
        return lambda value: to_moment(value, source.time, zone)
    if field == "quantity":
        return lambda value: to_whole_number(value, form)
    if field in ("price", "rating"):
        return lambda value: float(to_number(value, form))
    if field == "properties":
        return lambda value: value
    return _text_converter(field, source)


def _text_converter(field: str, source: Source) -> Getter:
    def convert(value: Any) -> str | None:
        text = to_text(value)
        if source.whole:
            text = without_zero_fraction(text)
        if source.split is not None:
            text = "/".join(level for part in text.split(source.split) if (level := part.strip()))
        if field == "currency":
            text = text.upper()
        return (text[:_MAX_LABEL] if field in _LABELS else text) or None

    return convert
