"""A schema as a registry gives it, with all it refers to."""

from dataclasses import dataclass
from typing import NamedTuple


class Reference(NamedTuple):
    """Another schema under the name it goes by: a full name in Avro, an import path in Protobuf."""

    name: str
    text: str


@dataclass(frozen=True)
class Schema:
    """A schema's text. `kind` is the registry's word for it: AVRO, PROTOBUF or JSON.

    `references` holds all it refers to, directly or not, each once, and each after those it refers to itself.
    """

    kind: str
    text: str
    references: tuple[Reference, ...] = ()


class UnusableSchemaError(Exception):
    """No value can be read with this schema; the message says why. Its values are dead letters."""
