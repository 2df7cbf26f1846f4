"""Plots in the one look. Colours of text and grid are set by the page, which knows whether it is dark."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

#: Readable on light and on dark.
MAIN: Final = "#3987e5"
SECOND: Final = "#eb6834"
QUIET: Final = "#888"

_CONFIG: Final = {"displayModeBar": False, "responsive": True}
#: On the right there is room for half of a last "100%", which is left out where it would not fit.
_MARGIN: Final = {"l": 60, "r": 26, "t": 28, "b": 44}


class Plot(NamedTuple):
    """A plot as HTML, and what it shows in words, for who does not see it."""

    html: Markup
    words: str


def plot(name: str, figure: go.Figure, words: str) -> Plot:
    """Returns the plot for a page; `name` tells it from the page's others."""
    return Plot(fragment(figure, f"plot-{name}"), words)


def fragment(figure: go.Figure, name: str) -> Markup:
    """Returns the figure as a fragment of a page that has plotly.js; `name` is its element's id."""
    # plotly escapes what stands in its data.
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=_CONFIG))  # noqa: S704


def plotly_js() -> Markup:
    """Returns the script that draws them."""
    # It is a script of a pinned package, not data.
    return Markup(get_plotlyjs())  # noqa: S704


def styled(figure: go.Figure, height: int, *, legend: bool = True) -> go.Figure:
    """Returns the figure in the look of all pages; `height` in pixels."""
    font: dict[str, Any] = {"family": "system-ui, sans-serif", "size": 13, "color": "#777"}
    figure.update_layout(
        height=height,
        margin=_MARGIN,
        font=font,
        showlegend=legend,
        legend={
            "orientation": "h",
            "y": 1.02,
            "x": 0,
            "xanchor": "left",
            "yanchor": "bottom",
            "itemsizing": "constant",
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="closest",
    )
    figure.update_traces(marker_line_width=0, selector={"type": "bar"})
    figure.update_xaxes(fixedrange=True, zeroline=False, showgrid=False, ticks="outside", showline=True)
    figure.update_yaxes(fixedrange=True, zeroline=False, gridcolor="rgba(128,128,128,.25)")
    return figure


def height_of(rows: int) -> int:
    """Returns the height (pixels) of a plot with so many names down its side."""
    return 90 + 34 * rows


def add_point(figure: go.Figure, name: str, one: Mapping[str, Any], colour: str = MAIN) -> None:
    """Adds a row: the `value` as a point and the `interval` around it, if it has one; nothing without a value."""
    value = one["value"]
    if value is None:
        return
    low, high = one["interval"] or (value, value)
    figure.add_scatter(
        x=[value],
        y=[name],
        error_x={
            "type": "data", "array": [high - value], "arrayminus": [value - low], "symmetric": False, "thickness": 2,
        },
        mode="markers",
        marker={"size": 10, "color": colour},
        hovertemplate=f"{name}: %{{x:.4g}}<extra></extra>",
    )  # fmt: skip
