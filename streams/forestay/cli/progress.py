"""Progress of long work, on stderr where a person looks at it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from forestay.cli.console import console


@contextmanager
def progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yields what tells the stage, how much of it is done, and how much there is (None: unknown)."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}"))
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, TimeElapsedColumn(), console=console(stderr=True), transient=True) as bar:

        def tell(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done)

        yield tell


def _silent(_stage: str, _done: int, _total: int | None) -> None:
    """Says nothing: a file or a pipe has no use for a bar."""
