"""The judgement as one HTML file that needs no network: plots, and each of their numbers in a table."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forestay.pages.environment import environment, number, span
from forestay.pages.figures import plot, plotly_js
from forestay_training.offpolicy import plots


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the page of the JSON object `found` to `path`."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Mapping[str, Any]) -> str:
    """Returns the page of the JSON object `found`."""
    plots = {name: plot(name, figure, words) for name, figure, words in _plots(found)}
    template = environment("forestay_training.offpolicy").get_template("page.html.j2")
    return template.render(found=found, plots=plots, plotly_js=plotly_js())


def _plots(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    by, logged = found["verdict"]["by"], found["logged"]["value"]
    chosen = found["estimates"][by]
    gain = chosen["gain"]
    # Intervals of the values are wide as users differ, whoever decides: what counts is that of the difference.
    words = (
        f"{by} says {number(chosen['value'])} a decision; the log earned {number(logged)}, the dotted line."
        f" The difference is {number(gain['value'])}, with its own interval of {span(gain['interval'])}"
    )
    yield "estimates", plots.estimates_plot(found), words
    model = found["reward_model"]
    words = f"Expected {number(model['expected'])} on average, came {number(model['came'])}"
    yield "calibration", plots.calibration_plot(model["bins"]), words
    if found["same_policy"] is not None:
        failed = ", ".join(found["same_policy"]["failed"]) or "none"
        yield "same", plots.same_policy_plot(found), f"Off by more than chance explains: {failed}"
