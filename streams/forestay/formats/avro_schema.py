"""Avro schemas made ready: values come out as JSON has them, and no value can outgrow its bytes.

fastavro recurses in C for a schema that refers to itself (100 kB of hostile bytes end the process), and believes
any count of items that take no bytes. Both are questions of the schema, so they are settled once, here.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from fastavro import parse_schema
from fastavro.schema import SchemaParseException, UnknownType

from forestay.formats.avro_logical import renamed
from forestay.formats.schema import Schema, UnusableSchemaError

#: The field of the outer record that holds the value: a record adds no bytes, so any schema can be put into one.
WRAPPED: Final = "value"
#: A value may hold this many values in each of its bytes: records in records in an array, and none longer than that.
_VALUES_A_BYTE: Final = 4
#: ... and so many beyond: nulls, and records without fields, take no bytes.
_VALUES_FOR_NOTHING: Final = 10_000
_BYTES: Final = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


def prepared(schema: Schema) -> Any:
    """Returns what fastavro reads by: a record whose field `WRAPPED` is the value.

    Raises:
        UnusableSchemaError: it is not Avro, refers to what is not there or to itself, or values outgrow their bytes.
    """
    named: dict[str, Any] = {}
    try:
        for reference in schema.references:
            parse_schema(_rewritten(json.loads(reference.text)), named)
        content = _rewritten(json.loads(schema.text))
        outer = {"type": "record", "name": "ForestayValue", "fields": [{"name": WRAPPED, "type": content}]}
        parsed = parse_schema(outer, named)
        excess = _Growth(named).excess(parsed)
    except (SchemaParseException, UnknownType) as error:
        raise UnusableSchemaError(f"it is no Avro schema ({error})") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnusableSchemaError("it is no Avro schema") from error
    except RecursionError as error:
        raise UnusableSchemaError("it is nested too deeply") from error
    if excess > _VALUES_FOR_NOTHING:
        raise UnusableSchemaError("a value of few bytes could hold millions of nulls")
    return parsed


def _rewritten(schema: Any) -> Any:
    """Returns `schema` without what reading needs not, its logical types renamed to those of avro_logical."""
    if isinstance(schema, list):
        return [_rewritten(branch) for branch in schema]
    if not isinstance(schema, dict):
        return renamed({"type": schema}) if schema == "bytes" else schema
    kind = schema["type"]
    if isinstance(kind, dict | list):
        return _rewritten(kind)
    kept = {name: schema[name] for name in ("name", "namespace", "symbols", "size") if name in schema}
    if kind in ("record", "error"):
        fields = [{"name": field["name"], "type": _rewritten(field["type"])} for field in schema["fields"]]
        return kept | {"type": kind, "fields": fields}
    if kind in ("array", "map"):
        part = "items" if kind == "array" else "values"
        return {"type": kind, part: _rewritten(schema[part])}
    return kept | renamed(schema)


class _Growth:
    """How many values a schema may make of how many bytes."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        """Takes the named types a schema refers to, as fastavro has parsed them."""
        self._named = named
        self._known: dict[str, int] = {}
        self._within: set[str] = set()

    def excess(self, schema: Any) -> int:
        """Returns the most values a value may consist of, itself included, beyond `_VALUES_A_BYTE` of its bytes.

        Raises:
            UnusableSchemaError: there is no such bound.
        """
        if isinstance(schema, list):
            return max(map(self.excess, schema), default=0) - _VALUES_A_BYTE
        if isinstance(schema, str):
            return 1 - _VALUES_A_BYTE * _BYTES[schema] if schema in _BYTES else self._of_named(schema)
        kind = schema["type"]
        if kind in ("record", "error", "fixed", "enum"):
            return self._of_named(schema["name"])
        if kind == "array":
            return self._of_many(self.excess(schema["items"]))
        if kind == "map":
            return self._of_many(self.excess(schema["values"]) + 1 - _VALUES_A_BYTE)
        return self.excess(kind)

    def _of_many(self, one: int) -> int:
        if one > 0:
            raise UnusableSchemaError("an array of few bytes could hold any number of its items")
        return 1 - _VALUES_A_BYTE

    def _of_named(self, name: str) -> int:
        if name in self._within:
            raise UnusableSchemaError(f"{name} holds itself: a value could be nested to any depth")
        if name not in self._known:
            self._within.add(name)
            self._known[name] = self._of_definition(self._named[name])
            self._within.remove(name)
        return self._known[name]

    def _of_definition(self, schema: Mapping[str, Any]) -> int:
        if schema["type"] == "enum":
            return 1 - _VALUES_A_BYTE
        if schema["type"] == "fixed":
            return 1 - _VALUES_A_BYTE * int(schema["size"])
        return 1 + sum(self.excess(field["type"]) for field in schema["fields"])
