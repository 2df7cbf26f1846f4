"""A YAML file that people write: read with its lines, so that what is wrong with it is said where it stands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from forestay.core.errors import ConfigurationError

#: Two hundred offers with their payloads take a third of it.
MAX_BYTES: Final = 1_048_576

Checked = TypeVar("Checked")


def load_lined(
    path: Path, what: str, check: Callable[[Any], Checked], said: Callable[[ErrorDetails], str], part: str
) -> Checked:
    """Returns what `check` makes of the YAML file `path`.

    `what` names the file in messages, `part` what is wrong where no part of it is named; `said` words an error.

    Raises:
        ConfigurationError: it is missing or too large, is no YAML, or breaks its contract; the message has a line
            `FILE:LINE: what is wrong` for each error.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"the {what} {path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"the {what} {path} takes more than {MAX_BYTES} bytes")
    try:
        root, content = _parsed(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ConfigurationError(f"{path}:{mark.line + 1 if mark else 1}: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        # A date like 2026-13-01 is a ValueError, brackets in brackets without end a RecursionError.
        raise ConfigurationError(f"the {what} {path} is not YAML: {error}") from error
    try:
        return check(content)
    except ValidationError as error:
        lines = [
            f"{path}:{line_of(root, item['loc'])}: {'.'.join(map(str, item['loc'])) or part}: {said(item)}"
            for item in error.errors(include_url=False)
        ]
        raise ConfigurationError("\n".join(lines)) from error


def line_of(root: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Returns the line, from 1, of the innermost part of `location` that stands in the file."""
    node, line = root, 1
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
            continue
        entries = node.value if isinstance(node, yaml.MappingNode) else []
        found = [(name, value) for name, value in entries if name.value == part]
        if not found:
            break
        node = found[0][1]
        line = found[0][0].start_mark.line + 1
    return line


def _parsed(data: bytes) -> tuple[yaml.Node | None, Any]:
    """Returns the document as nodes, which know their lines, and as plain data."""
    loader = yaml.SafeLoader(data)
    try:
        root = loader.get_single_node()
        if root is None:
            return None, None
        _refuse_repeated_names(root)
        return root, loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_repeated_names(root: yaml.Node) -> None:
    """Raises where a mapping names something twice: YAML would silently take the last."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for name, value in node.value:
                if isinstance(name, yaml.ScalarNode) and name.value in names:
                    raise yaml.MarkedYAMLError(
                        problem=f"{name.value} stands here twice", problem_mark=name.start_mark
                    )
                names.add(str(name.value))
                waiting += (name, value)
