"""The judgement as one HTML file that needs no network: plots, and each of their numbers in a table."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forestay.pages.environment import environment, number
from forestay.pages.figures import plot, plotly_js
from forestay_training.uplift import plots


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the page of the JSON object `found` to `path`."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Mapping[str, Any]) -> str:
    """Returns the page of the JSON object `found`."""
    plots = {name: plot(name, figure, words) for name, figure, words in _plots(found)}
    template = environment("forestay_training.uplift").get_template("page.html.j2")
    return template.render(found=found, plots=plots, plotly_js=plotly_js())


def _plots(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    areas = ", ".join(f"{name} {number(one['qini']['value'])}" for name, one in found["treatments"].items())
    yield (
        "qini",
        plots.qini_plot(found["treatments"]),
        f"Qini of the test people: {areas}; dotted is random targeting",
    )
    yield "policies", plots.policies_plot(found["policies"]), "Net value a person of each policy with its interval"
    words = f"Net value by share treated; all with {found['best_on_average']} is the right end of the riskiest"
    yield "shares", plots.shares_plot(found["net_by_share"]), words
