"""How commands speak: people read tables and coloured lines, machines read JSON."""

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Columns of a table that goes into a pipe or a file: nobody folds it there.
_PIPED: Final = 160


def console(*, stderr: bool = False) -> "Console":
    """Returns a console; what is printed is plain text, never markup, so that data cannot style itself."""
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=None if terminal else _PIPED)


def print_json(value: Any) -> None:
    """Prints `value` as one line of JSON on stdout."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")


def table(*columns: str, right: Iterable[str] = ()) -> "Table":
    """Returns an empty table without frames; the first column is never folded, those in `right` aligned right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    right = set(right)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=column == columns[0])
    return made


def printable(text: str) -> str:
    """Returns `text` with control characters escaped: a record must not steer the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
