"""The page's plots, in the look of the other reports."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from forestay.pages.figures import MAIN, QUIET, SECOND, styled

_COLOURS: Final = {"believed": SECOND, "random": QUIET, "learner": MAIN}
_HOURS: Final = 24


def regret_plot(policies: Mapping[str, Any], period_days: int) -> go.Figure:
    """Returns the regret a decision by period, with its interval between worlds."""
    figure = go.Figure()
    for name, one in policies.items():
        periods = [(number, period) for number, period in enumerate(one["periods"]) if period["decisions"]]
        days = [period_days * (number + 1) for number, _period in periods]
        values = [period["regret"]["value"] for _number, period in periods]
        spans = [
            period["regret"]["interval"] or (value, value)
            for (_n, period), value in zip(periods, values, strict=True)
        ]
        figure.add_scatter(
            x=days,
            y=values,
            name=name,
            mode="lines+markers",
            line={"color": _COLOURS[name], "width": 2},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - value for value, (_low, high) in zip(values, spans, strict=True)],
                "arrayminus": [value - low for value, (low, _high) in zip(values, spans, strict=True)],
                "thickness": 1,
                "width": 3,
            },
            hovertemplate="%{y:.2f} a decision by day %{x}<extra></extra>",
        )
    figure.update_xaxes(title="day of the shop")
    figure.update_yaxes(title="regret a decision", rangemode="tozero")
    return styled(figure, 360)


def coverage_plot(coverage: Mapping[str, Any]) -> go.Figure:
    """Returns for each candidate and estimator how often the interval held the truth, with its interval."""
    figure = go.Figure()
    for colour, (candidate, one) in zip((SECOND, MAIN), coverage.items(), strict=False):
        names = list(one["estimators"])
        rows = [one["estimators"][name] for name in names]
        figure.add_scatter(
            x=names,
            y=[row["share"] for row in rows],
            name=f"value of {candidate}",
            mode="markers",
            marker={"color": colour, "size": 9},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [row["interval"][1] - row["share"] for row in rows],
                "arrayminus": [row["share"] - row["interval"][0] for row in rows],
                "thickness": 1,
                "width": 3,
            },
            hovertemplate="%{y:.1%} of the intervals of %{x} held the truth<extra></extra>",
        )
    figure.update_layout(scattermode="group")
    figure.add_hline(y=0.95, line={"width": 1, "dash": "dot", "color": QUIET})
    figure.update_yaxes(title="intervals that hold the truth", tickformat=".0%", range=[0, 1.04])
    return styled(figure, 320)


def pacing_plot(curve: Sequence[float], plan: Sequence[float]) -> go.Figure:
    """Returns the share of a day's spending by the end of each hour, beside the plan."""
    figure = go.Figure()
    hours = list(range(1, _HOURS + 1))
    figure.add_scatter(x=hours, y=list(curve), name="spent", mode="lines+markers", line={"color": MAIN, "width": 2})
    figure.add_scatter(
        x=hours, y=list(plan), name="planned", mode="lines", line={"color": QUIET, "width": 1, "dash": "dot"}
    )
    figure.update_xaxes(title="hour of the day, UTC", range=[11.5, 24.3])
    figure.update_yaxes(title="share of the day's spending", tickformat=".0%", range=[0, 1.04])
    return styled(figure, 300)


def fit_plot(fit: Mapping[str, Any]) -> go.Figure:
    """Returns the shares of users by their repeat orders: of the shop, and as the rhythm makes them."""
    figure = go.Figure()
    for key, name, colour in (("real", "the shop's", MAIN), ("made", "made up", QUIET)):
        figure.add_bar(x=fit["repeat_orders"], y=fit[key], name=name, marker={"color": colour})
    figure.update_xaxes(title="repeat orders")
    figure.update_yaxes(title="share of users", tickformat=".0%")
    return styled(figure, 300)
