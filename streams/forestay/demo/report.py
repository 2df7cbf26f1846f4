"""The HTML report: one file with everything in it, readable without a network, in light and in dark."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from forestay.core.decision.catalogue import Catalogue, Cost
from forestay.demo import charts
from forestay.demo.harvest import Harvest
from forestay.demo.latency import Percentiles, latencies
from forestay.demo.meter import Sample
from forestay.demo.metrics import MetricsTable
from forestay.demo.summary import Course, LatencyFacts, Summary
from forestay.demo.telling import lower_rungs_sentence, training_sentence
from forestay.pages.environment import environment
from forestay.pages.figures import fragment, plotly_js

#: A flood of dead letters would make a long page: the rest is counted.
_DEAD_LETTERS: Final = 50


class _Tile(NamedTuple):
    value: str
    name: str


class _Part(NamedTuple):
    name: str
    style: str
    events: int
    share: float


class _Row(NamedTuple):
    name: str
    found: Percentiles


class Material(NamedTuple):
    """All a report is made of."""

    summary: Summary
    course: Course
    harvest: Harvest
    samples: Sequence[Sample]
    catalogue: Catalogue
    metrics: MetricsTable | None


def write_report(path: Path, material: Material) -> None:
    """Writes the report to `path`."""
    path.write_text(report(material), encoding="utf-8")


def report(material: Material) -> str:
    """Returns the report as HTML; the same material gives the same bytes."""
    summary, harvest = material.summary, material.harvest
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            summary=summary,
            span=f"{(summary.recording.last - summary.recording.first).days:,} days",
            tiles=list(_tiles(summary)),
            training=training_sentence(summary),
            lower_rungs=lower_rungs_sentence(summary),
            split=_split(summary),
            latency_rows=list(_latency_rows(summary)),
            charts=_charts(material),
            dead_letters=sorted(harvest.dead_letters)[:_DEAD_LETTERS],
            more_dead_letters=max(len(harvest.dead_letters) - _DEAD_LETTERS, 0),
            catalogue=material.catalogue,
            metrics=material.metrics,
            plotly_js=plotly_js(),
        )
    )


def _environment() -> Environment:
    own = environment("forestay.demo")
    own.filters["words"] = lambda text: str(text).replace("_", " ").capitalize()
    own.filters["cost"] = _cost_in_words
    own.globals["day"] = lambda moment: f"{moment.day} {moment:%B %Y}"
    return own


def _cost_in_words(cost: Cost) -> str:
    parts = []
    if cost.fixed:
        parts.append(f"{cost.fixed:.2f}")
    if cost.basket_share:
        parts.append(f"{cost.basket_share:.0%} of the basket")
    return " + ".join(parts) or "nothing"


def _tiles(summary: Summary) -> Iterator[_Tile]:
    yield _Tile(f"{summary.events_per_second:,.0f}", "events/s end to end, durable")
    latency = summary.action_latency.to_record or summary.decision_latency.to_record
    if latency is not None:
        what = "action" if summary.action_latency.to_record else "decision"
        yield _Tile(f"{latency.p50} ms", f"event to {what}, half of them (p50)")
        yield _Tile(f"{latency.p99} ms", f"event to {what}, 99 of 100 (p99)")
    yield _Tile(f"{summary.users:,}", "users")
    yield _Tile(f"{summary.decisions:,}", "scores, each with a decision")
    yield _Tile(f"{summary.actions:,}", f"actions, for {summary.cost:,.0f} {summary.currency}")
    yield _Tile(f"{sum(summary.dead_letters.values()):,}", "dead letters")


def _split(summary: Summary) -> list[_Part]:
    """Returns the replayed events in parts: trained on, unseen, and the last part."""
    training = summary.training
    if training is None:
        return []
    steady = min(summary.steady.events, training.unseen)
    parts = (
        ("before the model was trained", "seen", training.seen),
        ("after", "unseen", training.unseen - steady),
        ("the last part, at a steady rate", "last", steady),
    )
    total = training.seen + training.unseen
    return [_Part(name, style, events, events / total) for name, style, events in parts if events]


def _latency_rows(summary: Summary) -> Iterator[_Row]:
    yield from _rows("event to action", summary.action_latency)
    yield from _rows("event to decision", summary.decision_latency)
    for rung, facts in summary.decision_latency_by_rung.items():
        if facts.to_record is not None:
            yield _Row(f"event to decision, scored by {rung}", facts.to_record)


def _rows(name: str, facts: LatencyFacts) -> Iterator[_Row]:
    for where, found in (("on its topic", facts.to_record), ("read by a consumer", facts.to_consumer)):
        if found is not None:
            yield _Row(f"{name}, {where}", found)


def _charts(material: Material) -> dict[str, Markup | None]:
    course, harvest = material.course, material.harvest
    found = latencies(harvest.decisions, course.clickstream, course.sent)
    figures = {
        "course": charts.course_chart(material.samples, course),
        "latency": charts.latency_chart(found) if found.to_record else None,
        "actions": charts.actions_chart(seen.record for seen in harvest.actions),
        "probability": charts.probability_chart(seen.record for seen in harvest.decisions),
        "suppressed": charts.suppressed_chart(material.summary.suppressed),
    }
    return {name: None if figure is None else fragment(figure, f"chart-{name}") for name, figure in figures.items()}
