"""The page's plots, in the look of the other reports."""

from collections.abc import Mapping
from typing import Any, Final

import plotly.graph_objects as go

from forestay.pages.figures import QUIET, add_point, height_of, styled

_COLOURS: Final = ("#3987e5", "#eb6834", "#1baf7a", "#d9a014", "#9085e9", "#d55181", "#b07aa1", "#9a9992", "#888")


def qini_plot(treatments: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Returns the outcomes gained by treating the share with the highest predicted effect."""
    figure = go.Figure()
    for name, colour in zip(treatments, _COLOURS, strict=False):
        curve = treatments[name]["curve"]
        figure.add_scatter(
            x=curve["people"],
            y=curve["gained"],
            name=name,
            mode="lines",
            line={"color": colour, "width": 2},
            hovertemplate="%{y:.1f} outcomes gained by %{x:.0%}<extra></extra>",
        )
        figure.add_scatter(
            x=[0, 1],
            y=[0, curve["gained"][-1]],
            mode="lines",
            line={"color": colour, "width": 1, "dash": "dot"},
            showlegend=False,
            hoverinfo="skip",
        )
    figure.update_xaxes(title="share of people, highest predicted effect first", tickformat=".0%")
    figure.update_yaxes(title="outcomes gained among the treated")
    return styled(figure, 380)


def policies_plot(policies: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """Returns each policy's net value with its interval, from the top."""
    figure = go.Figure()
    for name in reversed(list(policies)):
        add_point(figure, name, policies[name]["net"])
    figure.add_vline(x=0, line={"width": 1, "dash": "dot", "color": QUIET})
    figure.update_xaxes(title="net value a person, above treating no one")
    return styled(figure, height_of(len(policies)), legend=False)


def shares_plot(by_share: Mapping[str, list[float]]) -> go.Figure:
    """Returns the net value where so many are treated, by effect and by risk."""
    figure = go.Figure()
    names = [name for name in by_share if name != "treated"]
    for name, colour in zip(names, _COLOURS, strict=False):
        figure.add_scatter(
            x=by_share["treated"],
            y=by_share[name],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            hovertemplate="%{y:.4g} where %{x:.0%} are treated<extra></extra>",
        )
    figure.update_xaxes(title="share of people treated", tickformat=".0%")
    figure.update_yaxes(title="net value a person")
    return styled(figure, 340)
