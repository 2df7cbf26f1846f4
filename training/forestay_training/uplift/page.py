"""The judgement as one HTML file that needs no network: plots, and each of their numbers in a table."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from forestay.demo.charts import as_html
from forestay_training.uplift import plots


class Plot(NamedTuple):
    """A plot as HTML, and what it shows in words, for who does not see it."""

    html: Markup
    words: str


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the page of the JSON object `found` to `path`."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Mapping[str, Any]) -> str:
    """Returns the page of the JSON object `found`."""
    environment = Environment(
        # The look is that of the demonstration's report.
        loader=ChoiceLoader([PackageLoader("forestay_training.uplift", "."), PackageLoader("forestay.demo", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"number": _number, "span": _span}
    return environment.get_template("page.html.j2").render(
        found=found,
        plots={name: _plot(name, figure, words) for name, figure, words in _plots(found)},
        # plotly.js is a script of a pinned package, not data.
        plotly_js=Markup(get_plotlyjs()),  # noqa: S704
    )


def _plots(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    areas = ", ".join(f"{name} {_number(one['qini']['value'])}" for name, one in found["treatments"].items())
    yield (
        "qini",
        plots.qini_plot(found["treatments"]),
        f"Qini of the test people: {areas}; dotted is random targeting",
    )
    yield "policies", plots.policies_plot(found["policies"]), "Net value a person of each policy with its interval"
    words = f"Net value by share treated; all with {found['best_on_average']} is the right end of the riskiest"
    yield "shares", plots.shares_plot(found["net_by_share"]), words


def _plot(name: str, figure: Any, words: str) -> Plot:
    # plotly escapes what stands in its data.
    return Plot(Markup(as_html(figure, f"plot-{name}")), words)  # noqa: S704


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"  # noqa: RUF001 - a dash in a table


def _span(span: list[float] | None) -> str:
    return "" if span is None else f"{span[0]:.4g} to {span[1]:.4g}"
