"""Mapping files: read, checked, and their errors named by line and field."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from forestay.adapters.mapping import Mapping
from forestay.core.errors import ConfigurationError

#: A mapping file may take this many bytes; the largest of ours takes a tenth.
MAX_BYTES: Final = 262_144
_PROFILES: Final = resources.files("forestay.adapters") / "profiles"
_Place = tuple[str | int, ...]


def profile_names() -> list[str]:
    """Returns the names of the built-in profiles."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _PROFILES.iterdir() if entry.name.endswith(".yaml"))


def load_profile(name: str) -> Mapping:
    """Returns the built-in profile `name`.

    Raises:
        ConfigurationError: there is none of that name.
    """
    if name not in profile_names():
        raise ConfigurationError(f"there is no profile {name!r}; these are: {', '.join(profile_names())}")
    return parse_mapping((_PROFILES / f"{name}.yaml").read_text(encoding="utf-8"), f"the profile {name}")


def load_mapping(path: Path) -> Mapping:
    """Returns the mapping in the YAML file `path`.

    Raises:
        ConfigurationError: it cannot be read, is too large, or is no mapping; names line and field.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the mapping {path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"the mapping {path} has {len(content)} bytes; a mapping has at most {MAX_BYTES}")
    try:
        return parse_mapping(content.decode(), f"the mapping {path}")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the mapping {path} is not UTF-8") from error


def parse_mapping(text: str, what: str) -> Mapping:
    """Returns the mapping in `text`; `what` names it in errors.

    Raises:
        ConfigurationError: it is no YAML or no mapping; names line and field.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{what} is not YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:
        raise ConfigurationError(f"{what} holds a value YAML cannot read: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{what} holds no names and values; docs/adapters.md shows one")
    lines = dict(_lines(root, (), what))
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(f"{what} cannot work:\n" + "\n".join(_told(error, lines))) from error


def _lines(node: yaml.Node | None, place: _Place, what: str) -> Iterator[tuple[_Place, int]]:
    """Yields the line, counted from 1, of everything below `node`."""
    if node is None:
        return
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, child in enumerate(node.value):
            yield from _lines(child, (*place, number), what)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                # YAML would silently take the last.
                raise ConfigurationError(f"{what} says {key.value!r} twice, the second time in line {line}")
            seen.add(str(key.value))
            below = (*place, str(key.value))
            yield from _lines(child, below, what)
            yield below, line


def _told(error: ValidationError, lines: dict[_Place, int]) -> Iterator[str]:
    for item in error.errors(include_url=False, include_input=False):
        place = tuple(item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        while place not in lines:
            place = place[:-1]
        field = ".".join(map(str, item["loc"]))
        yield f"  line {lines[place]}: {field + ': ' if field else ''}{message}"


def describe_mapping(mapping: Mapping) -> dict[str, Any]:
    """Returns what a list of profiles shows of one."""
    return {"name": mapping.name, "description": mapping.description, "source": mapping.source}
