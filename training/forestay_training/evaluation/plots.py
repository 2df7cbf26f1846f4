"""The page's plots, in the look of the other reports."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from forestay.pages.figures import QUIET, height_of, styled

#: One colour a model in every plot; told apart by dashes too.
_COLOURS: Final = {
    "recency": "#9a9992", "bg_nbd": "#b07aa1", "logistic": "#d9a014", "lightgbm": "#1baf7a",
    "gru": "#d55181", "transformer": "#9085e9", "fused": "#3987e5", "blend": "#eb6834",
}  # fmt: skip
_DASHES: Final = {"recency": "dot", "bg_nbd": "dashdot", "logistic": "dash", "blend": "longdash"}
_SHOWN: Final = ("recency", "lightgbm", "fused", "blend")


def interval_plot(figures: Mapping[str, Mapping[str, Any]], measure: str, title: str) -> go.Figure:
    """Returns each model's value with its interval, the models in the order of the report from the top."""
    figure = go.Figure()
    for name in reversed(list(figures)):
        value, span = figures[name][measure], figures[name]["intervals"][measure] or [None, None]
        if value is None:
            continue
        ends = {"array": [(span[1] or value) - value], "arrayminus": [value - (span[0] or value)], "symmetric": False}
        figure.add_scatter(
            x=[value],
            y=[name],
            error_x=ends | {"type": "data", "thickness": 2},
            mode="markers",
            marker={"size": 10, "color": _COLOURS[name]},
            hovertemplate=f"{name}: %{{x:.4f}}<extra></extra>",
        )
    figure.update_xaxes(title=title)
    return styled(figure, height_of(len(figures)), legend=False)


def gains_plot(curves: Mapping[str, Sequence[float]]) -> go.Figure:
    """Returns the share of leavers found among the riskiest users."""
    figure = go.Figure()
    for name, found in curves.items():
        shares = [number / (len(found) - 1) for number in range(len(found))]
        _line(figure, name, shares, found, "%{y:.0%} of who left in the riskiest %{x:.0%}")
    _diagonal(figure)
    figure.update_xaxes(title="riskiest share of users", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(title="share of leavers among them", tickformat=".0%", range=[0, 1.02])
    return styled(figure, 380)


def roc_plot(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> go.Figure:
    """Returns ROC curves."""
    figure = go.Figure()
    for name, (stayed, left) in curves.items():
        _line(figure, name, stayed, left, "%{y:.0%} of leavers with %{x:.0%} of stayers")
    _diagonal(figure)
    figure.update_xaxes(title="share of stayers above the threshold", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(title="share of leavers above it", tickformat=".0%", range=[0, 1.02])
    return styled(figure, 380)


def calibration_plot(curves: Mapping[str, Sequence[tuple[float, float, int]]]) -> go.Figure:
    """Returns said against seen, in tenths of the rows."""
    figure = go.Figure()
    for name, points in curves.items():
        said, seen = [point[0] for point in points], [point[1] for point in points]
        _line(figure, name, said, seen, "said %{x:.1%}, seen %{y:.1%}", mode="lines+markers")
    _diagonal(figure)
    figure.update_xaxes(title="mean probability said", tickformat=".0%")
    figure.update_yaxes(title="share that left", tickformat=".0%")
    return styled(figure, 380)


def parts_plot(parts: Mapping[str, Mapping[str, Any]], models: Sequence[str]) -> go.Figure:
    """Returns the AUC with its interval of a few models in each part."""
    figure = go.Figure()
    for name in (name for name in _SHOWN if name in models):
        values, spans = [], []
        for part in parts.values():
            found = part["models"][name]
            values.append(found["auc"])
            spans.append(found["intervals"]["auc"])
        ends = {
            "array": [_length(value, span, 1) for value, span in zip(values, spans, strict=True)],
            "arrayminus": [_length(value, span, 0) for value, span in zip(values, spans, strict=True)],
        }
        figure.add_bar(
            x=list(parts),
            y=values,
            name=name,
            marker={"color": _COLOURS[name]},
            error_y=ends | {"type": "data", "symmetric": False, "thickness": 1, "color": QUIET},
            hovertemplate=f"{name}: %{{y:.3f}}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.25)
    # A month alone would be taken for a date.
    figure.update_xaxes(type="category")
    figure.update_yaxes(title="AUC", range=[0.45, 1])
    return styled(figure, 320)


def worth_plot(worths: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Returns how much the log-loss rises without each group, the most at the top."""
    ordered = sorted(worths, key=lambda worth: worth["log_loss"])
    figure = go.Figure()
    figure.add_bar(
        x=[worth["log_loss"] for worth in ordered],
        y=[worth["group"] for worth in ordered],
        orientation="h",
        marker={"color": _COLOURS["fused"]},
        hovertemplate="%{y}: %{x:+.4f}<extra></extra>",
    )
    figure.update_xaxes(title="rise of the log-loss without it")
    figure.update_yaxes(automargin=True)
    return styled(figure, 90 + 28 * len(ordered), legend=False)


def learning_plot(steps: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Returns AUC over the number of labelled users."""
    figure = go.Figure()
    for name in steps[0]["auc"]:
        plain = name.removesuffix(" pre-trained")
        figure.add_scatter(
            x=[step["users"] for step in steps],
            y=[step["auc"][name]["value"] for step in steps],
            name=name,
            mode="lines+markers",
            line={"color": _COLOURS[plain], "width": 2, "dash": "solid" if name == plain else "dash"},
            hovertemplate=f"{name}: %{{y:.3f}} with %{{x:,}} users<extra></extra>",
        )
    figure.update_xaxes(title="labelled users", type="log")
    figure.update_yaxes(title="AUC")
    return styled(figure, 340)


def _length(value: float | None, span: Sequence[float] | None, end: int) -> float:
    return 0.0 if value is None or span is None else abs(span[end] - value)


def _line(
    figure: go.Figure, name: str, across: Sequence[float], up: Sequence[float], told: str, *, mode: str = "lines"
) -> None:
    figure.add_scatter(
        x=list(across),
        y=list(up),
        name=name,
        mode=mode,
        line={"color": _COLOURS[name], "width": 2, "dash": _DASHES.get(name, "solid")},
        hovertemplate=f"{name}: {told}<extra></extra>",
    )


def _diagonal(figure: go.Figure) -> None:
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": QUIET, "width": 1, "dash": "dot"},
        showlegend=False,
        hoverinfo="skip",
    )
