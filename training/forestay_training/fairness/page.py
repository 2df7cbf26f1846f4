"""The groups side by side as one HTML file that needs no network: plots, and each of their numbers in a table."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from forestay.pages.environment import environment
from forestay.pages.figures import MAIN, QUIET, SECOND, add_point, height_of, plot, plotly_js, styled


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the page of the JSON object `found` to `path`."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Mapping[str, Any]) -> str:
    """Returns the page of the JSON object `found`."""
    plots = {name: plot(name, figure, words) for name, figure, words in _plots(found)}
    template = environment("forestay_training.fairness").get_template("page.html.j2")
    return template.render(found=found, plots=plots, plotly_js=plotly_js())


def _plots(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    groups, least = found["groups"], found["least"]
    band = f"between the lines, {least:g} and {1 / least:.4g}, is equal enough"
    yield (
        "selected",
        _beside(groups, "selected_beside_others", least),
        f"Share with an offer beside all others; {band}",
    )
    yield (
        "price",
        _beside(groups, "cost_of_a_basket_beside_others", least),
        f"Cost of a basket beside others'; {band}",
    )
    yield "uplift", _uplift(groups), "What offers earned a decision above doing nothing"


def _beside(groups: Mapping[str, Any], measure: str, least: float) -> go.Figure:
    figure = go.Figure()
    for name in reversed(list(groups)):
        one = groups[name]
        add_point(figure, name, one[measure], SECOND if one["verdict"] == "unequal" else MAIN)
    for at in (least, 1 / least):
        figure.add_vline(x=at, line={"width": 1, "dash": "dot", "color": QUIET})
    figure.update_xaxes(title="ratio to all other groups")
    return styled(figure, height_of(len(groups)), legend=False)


def _uplift(groups: Mapping[str, Any]) -> go.Figure:
    figure = go.Figure()
    for name in reversed(list(groups)):
        add_point(figure, name, groups[name]["uplift_a_decision"])
    figure.add_vline(x=0, line={"width": 1, "dash": "dot", "color": QUIET})
    figure.update_xaxes(title="reward a decision")
    return styled(figure, height_of(len(groups)), legend=False)
