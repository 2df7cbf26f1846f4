"""The summary for a person at a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forestay.demo.latency import Percentiles
from forestay.demo.summary import LatencyFacts, Summary
from forestay.output_reading import Action


def tell_summary(console: Console, summary: Summary) -> None:
    """Prints the summary, the books last but for the verdict."""
    _heading(console, "What was replayed")
    console.print(_replayed(summary))
    _heading(console, "What came of it")
    console.print(_figures(summary))
    _heading(console, "Some of the actions, and why")
    for action in summary.samples:
        console.print(_action(action, summary.currency))
        console.print(Padding(Text("; ".join(reason.text for reason in action.reasons)), (0, 0, 0, 4)))
    _heading(console, "The books")
    console.print(_books(summary))
    console.print()
    console.print(_verdict(summary), soft_wrap=True)
    console.print(f"Report: {summary.report}", soft_wrap=True)


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))


def _replayed(summary: Summary) -> str:
    facts = summary.recording
    return (
        f"{facts.events:,} of {facts.recorded:,} events of {facts.name},"
        f" {facts.first:%Y-%m-%d} to {facts.last:%Y-%m-%d}.\n"
        f"Data: {facts.credit} ({facts.licence}).\n{training_sentence(summary)}"
    )


def training_sentence(summary: Summary) -> str:
    """Returns which part of the recording the model was trained on, in words."""
    training = summary.training
    if training is None:
        return "The model does not say what it was trained on."
    events = training.seen + training.unseen
    seen = "nothing" if training.steady_part_unseen else "some"
    tail = f"the model had seen {seen} of the last part, which gives the latencies."
    return (
        f"The model was trained on this shop until {training.until:%Y-%m-%d}: {training.seen:,} of these events"
        f" ({training.seen / events:.0%}) lie before, {training.unseen:,} ({training.unseen / events:.0%}) after;"
        f" {tail}"
    )


def lower_rungs_sentence(summary: Summary) -> str:
    """Returns how many scores the model did not give in time, in words; an empty text if it gave all."""
    late = summary.decisions - summary.scores_by_rung.get("model", 0)
    if not late:
        return ""
    scores = "score" if late == 1 else "scores"
    return (
        f"{late:,} {scores} came later than {summary.deadline_seconds:g} s, or not at all: the rule or the last score"
        " stood in"
    )


def _figures(summary: Summary) -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    for name, value in figures(summary):
        rows.add_row(name, Text(value))
    return rows


def figures(summary: Summary) -> Iterable[tuple[str, str]]:
    """Yields the head figures, each with its name."""
    steady = summary.steady
    fast = summary.throughput
    took = f"{fast.events:,} in {fast.seconds:.1f} s, all durable"
    yield "throughput", f"{summary.events_per_second:,.0f} events/s end to end ({took})"
    yield "latency of actions", _latency(summary.action_latency, steady.events)
    yield "latency of decisions", _latency(summary.decision_latency, steady.events)
    for rung, facts in summary.decision_latency_by_rung.items():
        yield f"  scored by {rung}", percentiles_text(facts.to_record)
    yield "users", f"{summary.users:,}, {summary.holdout_users:,} of the scored ones in the holdout"
    yield "scores", f"{summary.decisions:,}: {_counts(summary.scores_by_rung)}; {_counts(summary.scores_by_trigger)}"
    if sentence := lower_rungs_sentence(summary):
        yield "  not by the model", sentence
    yield "actions", f"{summary.actions:,} for {summary.cost:,.2f} {summary.currency}"
    for kind, spent in summary.actions_by_kind.items():
        yield f"  {kind}", f"{spent.count:,} for {spent.cost:,.2f}"
    yield "held back", _counts(summary.suppressed) or "nothing"
    yield "dead letters", f"{sum(summary.dead_letters.values())}: {_counts(summary.dead_letters)}"
    yield "core", summary.core
    yield "time in the worker", summary.worker_stages or "unknown"
    yield "all of it took", f"{summary.seconds:.0f} s"


def _latency(facts: LatencyFacts, events: int) -> str:
    if facts.to_record is None:
        return f"none in the last {events:,} events"
    return f"{percentiles_text(facts.to_record)}; until a consumer has it {percentiles_text(facts.to_consumer)}"


def percentiles_text(found: Percentiles | None) -> str:
    """Returns percentiles in words."""
    if found is None:
        return "none"
    return f"p50 {found.p50} ms, p90 {found.p90} ms, p99 {found.p99} ms, max {found.max} ms ({found.count:,})"


def _counts(by_name: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in by_name.items())


def _action(action: Action, currency: str) -> Text:
    chance = "" if action.churn.probability is None else f" at {action.churn.probability:.0%}"
    return Text.assemble(
        (f"{action.decided_at:%Y-%m-%d %H:%M}  ", "dim"),
        f"{action.user_id}{chance}: ",
        (f"{action.kind} {action.offer_id}", "bold green"),
        f" by {action.channel}, cost {action.cost:.2f} {currency}",
    )


def _books(summary: Summary) -> Table:
    rows = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    rows.add_column("")
    rows.add_column("line", no_wrap=True)
    rows.add_column("must be", justify="right")
    rows.add_column("is", justify="right")
    rows.add_column("", overflow="fold")
    for line in summary.books:
        mark = Text("✓", style="green") if line.balanced else Text("✗", style="bold red")
        note = Text(line.note, style="dim" if line.balanced else "bold red")
        rows.add_row(mark, line.name, f"{line.expected:,}", f"{line.found:,}", note)
    rows.add_row("", "ids seen again, as a crash allows", "", f"{summary.repeated:,}", "")
    return rows


def _verdict(summary: Summary) -> Text:
    if summary.balanced:
        return Text("The books balance.", style="bold green")
    wrong = [line.name for line in summary.books if not line.balanced]
    return Text(f"The books do not balance: {'; '.join(wrong)}.", style="bold red")
