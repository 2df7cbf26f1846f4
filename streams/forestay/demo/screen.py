"""What a person sees while the demonstration runs: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from forestay.demo.meter import Sample

#: Between two plain lines (seconds).
_EVERY: Final = 3.0
_REFRESH: Final = 4


class Screen(Protocol):
    """Shows what happens."""

    def __enter__(self) -> Self:
        """Begins to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shows nothing more."""

    def say(self, text: str) -> None:
        """Says what is being done."""

    def show(self, sample: Sample, total: int) -> None:
        """Shows how far the replay of `total` events is."""


def make_screen(console: Console) -> Screen:
    """Returns the screen that fits where `console` writes."""
    return LiveScreen(console) if console.is_terminal else PlainScreen(console)


class PlainScreen:
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        """Writes to `console`."""
        self._console = console
        self._next = 0.0

    def __enter__(self) -> Self:
        """Begins to show."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shows nothing more."""

    def say(self, text: str) -> None:
        """Says what is being done."""
        self._console.print(text, soft_wrap=True)
        self._next = 0.0

    def show(self, sample: Sample, total: int) -> None:
        """Prints a line, if the last one is old enough."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        self._console.print(
            f"  {sample.done:,} of {total:,} events done, {sample.rate:,.0f}/s, {sample.lag:,} waiting;"
            f" {sample.users:,} users, {sample.decisions:,} scores ({counts(sample.rungs)}),"
            f" {sample.actions:,} actions ({counts(sample.kinds)}), {sample.dead_letters} dead letters",
            soft_wrap=True,
        )


class LiveScreen:
    """A table that changes in place."""

    def __init__(self, console: Console) -> None:
        """Draws on `console`."""
        self._console = console
        self._live = Live(console=console, refresh_per_second=_REFRESH, transient=True)

    def __enter__(self) -> Self:
        """Begins to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes the table away; what was said stays."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Prints the step above the table."""
        self._console.print(f"• {text}")

    def show(self, sample: Sample, total: int) -> None:
        """Redraws the table."""
        self._live.update(self._table(sample, total))

    @staticmethod
    def _table(sample: Sample, total: int) -> RenderableType:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim", justify="right")
        rows.add_column()
        rows.add_row("events", Text(f"{sample.done:,} of {total:,} done, {sample.sent:,} sent"))
        rows.add_row("speed", Text(f"{sample.rate:,.0f} events/s", style="bold"))
        rows.add_row("lag", Text(f"{sample.lag:,} records waiting"))
        rows.add_row("users", Text(f"{sample.users:,}"))
        rows.add_row("scores", Text(f"{sample.decisions:,}  {counts(sample.rungs)}"))
        rows.add_row("actions", Text(f"{sample.actions:,}  {counts(sample.kinds)}", style="green"))
        rows.add_row("dead letters", Text(f"{sample.dead_letters}"))
        return Group(ProgressBar(total=total, completed=sample.done), rows)


def counts(by_name: Mapping[str, int]) -> str:
    """Returns counts in words, the largest first."""
    ordered = sorted(by_name.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {name}" for name, count in ordered) or "none yet"
