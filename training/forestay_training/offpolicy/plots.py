"""The page's plots, in the look of the other reports."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from forestay.pages.figures import MAIN, QUIET, SECOND, add_point, height_of, styled


def estimates_plot(found: Mapping[str, Any]) -> go.Figure:
    """Returns each estimate of the policy's value with its interval; the line is what the log itself earned."""
    figure = go.Figure()
    for name in reversed(list(found["estimates"])):
        add_point(figure, name, found["estimates"][name], MAIN)
    figure.add_vline(x=found["logged"]["value"], line={"width": 1, "dash": "dot", "color": QUIET})
    figure.update_xaxes(title="reward a decision")
    return styled(figure, height_of(len(found["estimates"])), legend=False)


def same_policy_plot(found: Mapping[str, Any]) -> go.Figure:
    """Returns how far each estimator values the log's own policy above what it earned."""
    figure = go.Figure()
    above = found["same_policy"]["above"]
    for name in reversed(list(above)):
        add_point(figure, name, above[name], SECOND if name in found["same_policy"]["failed"] else MAIN)
    figure.add_vline(x=0, line={"width": 1, "dash": "dot", "color": QUIET})
    figure.update_xaxes(title="above what the log earned")
    return styled(figure, height_of(len(above)), legend=False)


def calibration_plot(bins: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Returns what the reward model expected against what came, in tenths of the decisions."""
    expected, came = [one["expected"] for one in bins], [one["came"] for one in bins]
    figure = go.Figure()
    figure.add_scatter(
        x=expected,
        y=came,
        mode="lines+markers",
        line={"color": MAIN, "width": 2},
        hovertemplate="expected %{x:.4g}, came %{y:.4g}<extra></extra>",
    )
    ends = [min(expected + came), max(expected + came)]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": QUIET, "width": 1, "dash": "dot"}, hoverinfo="skip"
    )
    figure.update_xaxes(title="reward expected")
    figure.update_yaxes(title="reward that came")
    return styled(figure, 360, legend=False)
