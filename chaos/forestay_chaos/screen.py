"""What is shown meanwhile, on stderr: so that stdout holds the JSON alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from forestay_chaos.outcome import Outcome
from forestay_chaos.scenario import Scenario

_MOST_FINDINGS = 6


class Screen:
    """One bar for the campaign, and a line for each run that is done."""

    def __init__(self, console: Console) -> None:
        """Writes to `console`."""
        self._console = console

    @contextmanager
    def campaign(self, runs: int) -> Iterator[Callable[[int, int, str], None]]:
        """Shows how many runs are done; what it yields takes that, the seed, and what goes on."""
        columns = (
            SpinnerColumn(),
            BarColumn(20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("three brokers and Triton start", total=runs)
            yield lambda done, seed, what: progress.update(task, completed=done, description=f"seed {seed}: {what}")

    def played(self, outcome: Outcome) -> None:
        """Says what a run came to."""
        word = "[green]good[/]" if outcome.good else "[red]WRONG[/]"
        again = f"; started again {len(outcome.unasked)}" if outcome.unasked else ""
        self._console.print(f"{word} {outcome.scenario.title()} ({outcome.seconds:.0f} s{again})", highlight=False)
        for finding in outcome.findings()[:_MOST_FINDINGS]:
            self._console.print(f"     {finding}", style="red", markup=False, highlight=False)

    def error(self, text: str) -> None:
        """Says what the harness could not do."""
        self._console.print(text, style="yellow", markup=False, highlight=False)

    def scenario(self, scenario: Scenario) -> None:
        """Says what a seed stands for."""
        self._console.print(scenario.title(), markup=False, highlight=False)
