"""Paths into a record: JMESPath (https://jmespath.org/specification.html), with a short cut for plain ones.

A plain path such as `properties.product_id` takes 3 µs in jmespath's interpreter and 0.4 µs as two look-ups;
nearly all paths of a mapping are plain. The short cut gives what JMESPath gives: None for what is not there.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import jmespath
from jmespath.exceptions import JMESPathError

from forestay.adapters.errors import ConversionError

Getter = Callable[[Any], Any]
#: The names on the way from the record to a value; places in a list leave no trace.
Reference = tuple[str, ...]


def check_path(expression: str) -> str:
    """Returns `expression`.

    Raises:
        ValueError: it is no JMESPath; says where it breaks.
    """
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        raise ValueError(f"{expression!r} is no JMESPath: {_one_line(error)}") from error
    return expression


def compile_path(expression: str) -> Getter:
    """Returns a function from a record to the value at `expression`, None where there is none.

    The function raises ConversionError where a function of JMESPath is given what it cannot take.
    """
    compiled = jmespath.compile(expression)
    names = _plain(_tree(compiled.parsed))
    if names is not None:
        return _walk(names)

    def search(record: Any) -> Any:
        try:
            return compiled.search(record)
        except (JMESPathError, TypeError, ValueError, ArithmeticError) as error:
            # Comparing a text with a number, for instance, is a plain TypeError of jmespath's.
            raise ConversionError(f"{expression} cannot be evaluated: {type(error).__name__}") from error

    return search


def first_of(expressions: Iterable[str], is_missing: Callable[[Any], bool]) -> Getter:
    """Returns a function from a record to the first value at one of `expressions` that is not missing."""
    getters = [compile_path(expression) for expression in expressions]

    def find(record: Any) -> Any:
        for getter in getters:
            value = getter(record)
            if not is_missing(value):
                return value
        return None

    return find


def holds(value: Any) -> bool:
    """Says whether JMESPath counts `value` as true: 0 is, nothing and what is empty are not."""
    return not (value is None or value is False or value in ("", [], {}))


def references(expression: str) -> set[Reference]:
    """Returns the places in a record that `expression` reads."""
    found: set[Reference] = set()
    end = _read(_tree(jmespath.compile(expression).parsed), (), found)
    return {place for place in found | {end} if place}


def _one_line(error: JMESPathError) -> str:
    return " ".join(str(error).split("\n")[0].split())


def _tree(parsed: Any) -> dict[str, Any]:
    """Returns the parsed expression as what it is at run time: nested dictionaries."""
    return cast(dict[str, Any], parsed)


def _plain(node: dict[str, Any]) -> Reference | None:
    """Returns the names of a path that only goes down into objects."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return None
    parts = [_plain(child) for child in node["children"]]
    return None if None in parts else tuple(name for part in parts for name in part or ())


def _walk(names: Reference) -> Getter:
    if len(names) == 1:
        name = names[0]
        return lambda record: record.get(name) if isinstance(record, dict) else None

    def walk(record: Any) -> Any:
        for name in names:
            if not isinstance(record, dict):
                return None
            record = record.get(name)
        return record

    return walk


def _read(node: dict[str, Any], start: Reference, found: set[Reference]) -> Reference:
    """Adds what `node` reads to `found`; returns the place its value has, empty if it has none of its own."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        return (*start, node["value"])
    if kind in ("current", "identity"):
        return start
    if kind == "filter_projection":
        elements, after, condition = children
        start = _read(elements, start, found)
        found.add(_read(condition, start, found))
        return _read(after, start, found)
    if kind in ("subexpression", "index_expression", "projection", "value_projection", "pipe"):
        for child in children:
            start = _read(child, start, found)
        return start
    if kind in ("flatten", "slice", "index"):
        return _read(children[0], start, found) if children and isinstance(children[0], dict) else start
    for child in _nodes(children):
        found.add(_read(child, start, found))
    return ()


def _nodes(children: Iterable[Any]) -> Iterator[dict[str, Any]]:
    return (child for child in children if isinstance(child, dict))
