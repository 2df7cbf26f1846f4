"""Where a page's template finds the look it shares with the others."""

from collections.abc import Sequence
from datetime import datetime

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def environment(package: str) -> Environment:
    """Returns what renders the templates of a package: it escapes, and stops at what is not defined."""
    found = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("forestay.pages", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    found.filters |= {"number": number, "span": span, "day": lambda text: text[:10]}
    found.globals["moment"] = moment
    return found


def number(value: float | str | None) -> str:
    """Returns a figure with as many digits as tell something; a dash where there is none."""
    if isinstance(value, str):
        return value
    return "–" if value is None else f"{value:,.4g}"  # noqa: RUF001 - a dash in a table


def span(interval: Sequence[float] | None) -> str:
    """Returns an interval in words, nothing where there is none."""
    return "" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"


def moment(at: datetime) -> str:
    """Returns a moment to the minute, in words."""
    return f"{at.day} {at:%b %Y, %H:%M}"
