"""The report's charts. Colours of text and grid are set by the page, which knows whether it is dark."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from forestay.demo.latency import Latencies
from forestay.demo.meter import Sample
from forestay.demo.summary import Course
from forestay.output_reading import Action, Decision
from forestay.pages.figures import MAIN, QUIET, SECOND, styled
from forestay_schemas.types import ActionKind, TriggerKind

#: One colour a kind, in every chart, readable on light and on dark.
_COLOURS: Final[Mapping[str, str]] = {
    ActionKind.PROMOTION: "#eb6834",
    ActionKind.LOYALTY: "#1baf7a",
    ActionKind.RECOMMENDATION: "#3987e5",
    ActionKind.MESSAGE: "#d9a014",
    ActionKind.OUTREACH: "#9085e9",
    ActionKind.REVIEW_RISK: "#d55181",
}
_BINS: Final = 25
_AFTER: Final = {
    TriggerKind.EVENT: "an event",
    TriggerKind.SILENCE: "a silence",
    TriggerKind.PATTERN: "a pattern",
}
#: Milliseconds worth a tick on a logarithmic axis.
_TICKS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000)


def course_chart(samples: Sequence[Sample], course: Course) -> go.Figure:
    """Returns events a second above, records waiting below, over the seconds of the run."""
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.12)
    seconds = [round(sample.at, 2) for sample in samples]
    rates, lags = [round(sample.rate) for sample in samples], [sample.lag for sample in samples]
    figure.add_scatter(x=seconds, y=rates, row=1, col=1, fill="tozeroy", line={"color": MAIN, "width": 2}, name="")
    figure.add_scatter(x=seconds, y=lags, row=2, col=1, fill="tozeroy", line={"color": SECOND, "width": 2}, name="")
    figure.update_traces(hovertemplate="%{y:,} after %{x:.0f} s")
    steady = course.fast.seconds
    for at, text in ((0.0, "fast"), (steady, "steady"), (steady + course.steady.seconds, "silence")):
        figure.add_vline(x=at, line={"width": 1, "dash": "dot", "color": QUIET}, row="all", col=1)
        figure.add_annotation(
            x=at, y=1.0, yref="y domain", text=text, showarrow=False, xanchor="left", yanchor="bottom"
        )
    figure.update_yaxes(title="events/s", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="waiting", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title="seconds", row=2, col=1)
    return styled(figure, 380, legend=False)


def latency_chart(found: Latencies) -> go.Figure:
    """Returns the share of decisions made within so many milliseconds, with p50 and p99 marked."""
    figure = go.Figure()
    for name, ordered, colour in (
        ("decision on its topic", found.to_record, MAIN),
        ("read by a consumer", found.to_consumer, SECOND),
    ):
        steps = _distribution(ordered)
        figure.add_scatter(
            x=[value for value, _ in steps],
            y=[share for _, share in steps],
            name=name,
            mode="lines",
            line={"color": colour, "width": 2, "shape": "hv"},
            hovertemplate="%{y:.1%} within %{x} ms",
        )
    for share, text in ((0.5, "p50"), (0.99, "p99")):
        figure.add_hline(y=share, line={"width": 1, "dash": "dot", "color": QUIET}, annotation_text=text)
    figure.update_xaxes(
        title="milliseconds since the event was sent",
        type="log",
        tickvals=_TICKS,
        ticktext=[f"{tick:,}" for tick in _TICKS],
    )
    figure.update_yaxes(title="share of decisions", tickformat=".0%", range=[0, 1.03])
    return styled(figure, 320)


def _distribution(ordered: Sequence[int]) -> list[tuple[int, float]]:
    """Returns each distinct value with the share of values up to it; a logarithmic axis begins at 1."""
    reached: dict[int, float] = {}
    for place, value in enumerate(ordered, start=1):
        reached[max(value, 1)] = place / len(ordered)
    return list(reached.items())


def actions_chart(actions: Iterable[Action]) -> go.Figure:
    """Returns actions a week of event time, stacked by kind."""
    weeks: dict[str, Counter[datetime]] = defaultdict(Counter)
    for action in actions:
        weeks[str(action.kind)][_week(action.decided_at)] += 1
    axis = sorted({week for counted in weeks.values() for week in counted})
    figure = go.Figure()
    for kind in (kind for kind in _COLOURS if kind in weeks):
        figure.add_bar(
            x=axis,
            y=[weeks[kind][week] for week in axis],
            name=str(kind),
            marker={"color": _COLOURS[kind]},
            hovertemplate=f"%{{y:,}} {kind} in the week of %{{x|%d %b %Y}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.15)
    figure.update_yaxes(title="actions a week")
    return styled(figure, 340)


def _week(moment: datetime) -> datetime:
    """Returns the Monday on which the moment's week begins."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def probability_chart(decisions: Iterable[Decision]) -> go.Figure:
    """Returns how churn probabilities are distributed, after events, silences and patterns.

    Releases are left out: they judge again whom a decision before them has judged.
    """
    found: dict[str, list[int]] = {str(kind): [0] * _BINS for kind in _AFTER}
    for decision in decisions:
        probability = decision.churn.probability
        if probability is not None and decision.trigger.kind in _AFTER:
            found[str(decision.trigger.kind)][min(int(probability * _BINS), _BINS - 1)] += 1
    titles = [f"after {words}" for words in _AFTER.values()]
    figure = make_subplots(cols=len(titles), shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.06)
    middles = [(number + 0.5) / _BINS for number in range(_BINS)]
    for column, kind in enumerate(_AFTER, start=1):
        counted = found[str(kind)]
        total = sum(counted) or 1
        figure.add_bar(
            x=middles,
            y=[count / total for count in counted],
            row=1,
            col=column,
            marker={"color": MAIN if kind is TriggerKind.EVENT else SECOND},
            customdata=counted,
            hovertemplate="%{y:.1%} (%{customdata:,} scores) near %{x:.0%}<extra></extra>",
        )
    figure.update_layout(bargap=0.08)
    figure.update_xaxes(title="churn probability", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(title="share of scores", tickformat=".0%", row=1, col=1)
    return styled(figure, 320, legend=False)


def suppressed_chart(by_code: Mapping[str, int]) -> go.Figure:
    """Returns how many offers each guardrail held back, the most at the top."""
    codes = sorted(by_code, key=lambda code: by_code[code])
    figure = go.Figure()
    figure.add_bar(
        x=[by_code[code] for code in codes],
        y=[code.replace("_", " ") for code in codes],
        orientation="h",
        marker={"color": MAIN},
        text=[f"{by_code[code]:,}" for code in codes],
        textposition="auto",
        hovertemplate="%{x:,} offers: %{y}<extra></extra>",
    )
    figure.update_xaxes(title="offers held back")
    figure.update_yaxes(automargin=True)
    return styled(figure, 90 + 34 * max(len(codes), 1), legend=False).update_yaxes(showgrid=False)
