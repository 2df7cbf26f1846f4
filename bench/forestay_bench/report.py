"""The results of a sitting as a table, a page of Markdown, a plot and JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from rich.table import Table

from forestay_bench.machine import machine
from forestay_bench.results import Measurement, ratios
from forestay_bench.sitting import Outcome

HEADINGS: Final = (
    *("engine", "events", "events/s", "warm", "µs CPU an event", "warm"),
    *("peak MB", "changelog", "broker CPU s", "others CPU s", "output"),
)
_OURS: Final = "#1baf7a"
_THEIRS: Final = "#3987e5"
_DISTURBED: Final = "disturbed: other processes used more than 5 % of the machine"


def row(run: Measurement) -> tuple[str, ...]:
    """Returns a run's cells, one for each of HEADINGS."""
    changelog = f"{run.changelog_records:,} / {run.changelog_mb:.1f} MB" if run.changelog_records else "-"
    return (
        f"{run.title}{' *' if run.disturbed else ''}",
        f"{run.events:,}",
        f"{run.rate:,.0f}",
        f"{run.warm_rate:,.0f}",
        f"{run.cpu_us:.2f}",
        f"{run.warm_cpu_us:.2f}",
        f"{run.memory_mb:,.0f}",
        changelog,
        f"{run.broker_cpu_seconds:.1f}",
        f"{run.others_cpu_seconds:.1f}",
        "wrong" if run.problems else "right" if run.outputs else "-",
    )


def table(runs: Sequence[Measurement]) -> Table:
    """Returns the table for a terminal."""
    shown = Table(caption=f"* {_DISTURBED}" if any(run.disturbed for run in runs) else None)
    for number, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if number else "left")
    for run in runs:
        shown.add_row(*row(run))
    return shown


def markdown(outcome: Outcome, quick: bool) -> str:
    """Returns the page."""
    text = ["# Bench", ""]
    if quick:
        text += ["A quick run: it shows that all works and is right; its figures are no claim.", ""]
    text += [f"- {name}: {value}" for name, value in machine().items()]
    text += ["", f"| {' | '.join(HEADINGS)} |", f"| --- |{' ---: |' * (len(HEADINGS) - 1)}"]
    text += [f"| {' | '.join(row(run))} |" for run in outcome.runs]
    if any(run.disturbed for run in outcome.runs):
        text += ["", f"\\* {_DISTURBED}"]
    for heading, notes in (("Left out", outcome.left_out), ("Failed", outcome.failures)):
        if notes:
            text += ["", f"{heading}:", ""] + [f"- {' '.join(note.split())}" for note in notes]
    text += ["", "Ratios, larger when Forestay is better:", "", "```json", ratio_line(outcome, quick), "```", ""]
    return "\n".join(text)


def ratio_line(outcome: Outcome, quick: bool) -> str:
    """Returns the last line; one of a quick run says so, since its figures are no claim."""
    return json.dumps({"quick": True, **ratios(outcome.runs)} if quick else ratios(outcome.runs))


def plot(runs: Sequence[Measurement]) -> go.Figure:
    """Returns bars of warm events/s and warm CPU time an event, a row an engine, on logarithmic axes."""
    titles = ("events/s, warm (more is better)", "µs of CPU an event, warm (less is better)")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.04)
    # The first run stands at the top; the reference, run twice, has two bars.
    shown = list(reversed(runs))
    names = [f"{run.title} ({number})" for number, run in zip(range(len(shown), 0, -1), shown, strict=True)]
    colours = [_OURS if run.name.startswith("forestay") else _THEIRS for run in shown]
    for column, values in enumerate(([r.warm_rate for r in shown], [r.warm_cpu_us for r in shown]), 1):
        texts = [f"{value:,.0f}" if column == 1 else f"{value:.1f}" for value in values]
        bars: Any = {"orientation": "h", "marker_color": colours, "text": texts, "showlegend": False}
        figure.add_trace(go.Bar(x=values, y=names, **bars), row=1, col=column)
        figure.update_xaxes(type="log", row=1, col=column)
    figure.update_layout(height=120 + 40 * len(shown), margin={"l": 20, "r": 20, "t": 50, "b": 30})
    return figure


def write(outcome: Outcome, out: Path, quick: bool) -> None:
    """Writes results.md, results.json and plot.html into the folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.md").write_text(markdown(outcome, quick))
    held = {"machine": machine(), "quick": quick, **asdict(outcome), "ratios": ratios(outcome.runs)}
    (out / "results.json").write_text(json.dumps(held, indent=2, ensure_ascii=False) + "\n")
    plot(outcome.runs).write_html(out / "plot.html", include_plotlyjs=True)
