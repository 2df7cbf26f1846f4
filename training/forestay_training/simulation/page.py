"""The simulation as one HTML file that needs no network: plots, and each of their numbers in a table."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forestay.pages.environment import environment, number
from forestay.pages.figures import plot, plotly_js
from forestay_training.simulation import plots


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the page of the JSON object `found` to `path`."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Mapping[str, Any]) -> str:
    """Returns the page of the JSON object `found`."""
    drawn = {name: plot(name, figure, words) for name, figure, words in _plots(found)}
    template = environment("forestay_training.simulation").get_template("page.html.j2")
    return template.render(found=found, plots=drawn, plotly_js=plotly_js())


def _plots(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    policies = found["policies"]
    words = ", ".join(f"{name} {number(one['periods'][-1]['regret']['value'])}" for name, one in policies.items())
    yield (
        "regret",
        plots.regret_plot(policies, found["period_days"]),
        f"Regret a decision by period; in the last one {words}",
    )
    yield (
        "coverage",
        plots.coverage_plot(found["coverage"]),
        "How often intervals of 95 % from a log held the value that is true",
    )
    pacing = found["pacing"]
    words = f"Spending over the day beside its plan, at most {100 * pacing['furthest']:.0f} % of the day's apart"
    yield "pacing", plots.pacing_plot(pacing["curve"], pacing["plan"]), words
    fit = found["rhythm"]["fit"]
    words = f"Users by repeat orders: {100 * fit['distance']:.1f} % of them would have to change their number"
    yield "fit", plots.fit_plot(fit), words
