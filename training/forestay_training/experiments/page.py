"""The read-out as one HTML file: it needs no network and no script; each drawing's numbers stand in a table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from forestay.pages.environment import environment

#: Width and height of the drawing of the looks, in its own units.
_WIDTH: Final = 640.0
_HEIGHT: Final = 200.0
#: Room at the left and right, that the first and last look do not stand in the frame.
_EDGE: Final = 24.0


class Mark(NamedTuple):
    """A look in the drawing: where it stands, and where its interval begins and ends (downwards)."""

    x: float
    y: float
    low: float
    high: float
    found: bool


def write_page(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the page of the read-out `found` to `path`."""
    path.write_text(page(found), encoding="utf-8")


def page(found: Mapping[str, Any]) -> str:
    """Returns the page; the same read-out gives the same bytes."""
    own = environment("forestay_training.experiments")
    own.filters |= {"signed": signed, "span": span}
    drawings = {} if found["blocked"] else dict(_drawings(found["primary"]["arms"]))
    return own.get_template("page.html.j2").render(found=found, drawings=drawings, width=_WIDTH, height=_HEIGHT)


def _drawings(arms: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, arm in arms.items():
        if arm["looks"]:
            yield name, _drawing(arm["looks"])


def _drawing(looks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the marks of an arm's looks and the height of no effect; early intervals may leave the frame."""
    # The frame is that of the second half: the first looks' intervals are so wide that nothing else would be seen.
    later = looks[len(looks) // 2 :]
    reach = max(max(abs(end) for end in (*look["interval"], look["effect"])) for look in later) * 1.1 or 1.0
    step = (_WIDTH - 2 * _EDGE) / max(len(looks) - 1, 1)

    def height(value: float) -> float:
        return round(_HEIGHT / 2 * (1 - min(max(value / reach, -1.0), 1.0)), 1)

    marks = [
        Mark(
            round(_EDGE + place * step, 1),
            height(look["effect"]),
            height(look["interval"][0]),
            height(look["interval"][1]),
            look["p_value"] is not None and look["p_value"] < look["p_value_needed"],
        )
        for place, look in enumerate(looks)
    ]
    return {"marks": marks, "reach": reach}


def signed(value: float | None) -> str:
    """Returns a difference with its sign."""
    return "-" if value is None else f"{value:+.4g}"


def span(interval: Sequence[float] | None) -> str:
    """Returns an interval in words."""
    return "" if interval is None else f"{interval[0]:+.4g} to {interval[1]:+.4g}"
