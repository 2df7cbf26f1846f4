"""What is shown meanwhile, on stderr: so that stdout holds results alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from forestay_bench.results import Measurement


class Screen:
    """One line of progress at a time, and a line for each run that is done."""

    def __init__(self, console: Console) -> None:
        """Writes to `console`."""
        self._console = console

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[float], object]]:
        """Shows a step while it goes on; what it yields takes the share that is done."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda share: progress.update(task, total=1.0, completed=share)

    def measured(self, run: Measurement) -> None:
        """Says what a run took."""
        verdict = ""
        if run.problems or run.outputs:
            verdict = f", output {'[red]WRONG[/]' if run.problems else '[green]right[/]'}"
        disturbed = " [yellow]disturbed by other processes[/]" if run.disturbed else ""
        self._console.print(
            f"{run.title}: {run.warm_rate:,.0f} events/s and {run.warm_cpu_us:.1f} µs of CPU an event when warm"
            f"{verdict}{disturbed}"
        )

    def note(self, text: str) -> None:
        """Says a line."""
        self._console.print(text, style="yellow", markup=False, highlight=False)
