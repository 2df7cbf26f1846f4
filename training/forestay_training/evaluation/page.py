"""The evaluation as one HTML file that needs no network: plots, and each of their numbers in a table."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from forestay.pages.environment import environment
from forestay.pages.figures import plot, plotly_js
from forestay_training.evaluation import curves, plots
from forestay_training.evaluation.evaluate import Evaluated

#: How measures are headed, and how they are written.
COLUMNS: Final = {
    "auc": "AUC", "ap": "AP", "lift_at_10": "lift at 10 %", "log_loss": "log-loss", "brier": "Brier", "ece": "ECE",
    "calibration_slope": "slope",
}  # fmt: skip


def write_page(path: Path, found: Mapping[str, Any], evaluated: Evaluated) -> None:
    """Writes the page to `path`."""
    path.write_text(page(found, evaluated), encoding="utf-8")


def page(found: Mapping[str, Any], evaluated: Evaluated) -> str:
    """Returns the page of the JSON object `found` and the answers it was made of."""
    own = environment("forestay_training.evaluation")
    own.filters |= {"number": _number, "signed": _signed, "span": _span}
    return own.get_template("page.html.j2").render(
        found=found,
        columns=COLUMNS,
        verdict=verdict(found),
        plots={name: plot(name, figure, words) for name, figure, words in _plots(found, evaluated)},
        plotly_js=plotly_js(),
    )


def verdict(found: Mapping[str, Any]) -> list[str]:
    """Says what the intervals of the differences allow to be said."""
    said = []
    for pair, words in (("fused - lightgbm", "The fused model"), ("blend - lightgbm", "The blend")):
        if pair in found["differences"]:
            said.append(f"{words} beside LightGBM: {_claim(found['differences'][pair])}.")
    return said


def _claim(difference: Mapping[str, Any]) -> str:
    parts = []
    for measure, name, sign in (("auc", "ranks", 1), ("log_loss", "knows the level", -1)):
        span = difference[measure]["interval"]
        if span is None:
            continue
        low, high = sorted(sign * end for end in span)
        how = "better" if low > 0 else "worse" if high < 0 else "as well, as far as these rows tell"
        parts.append(f"{name} {how}")
    return ", ".join(parts)


def _plots(found: Mapping[str, Any], evaluated: Evaluated) -> Iterator[tuple[str, Any, str]]:
    models, churned = found["models"], evaluated.division.test.churned
    answers = {name: contender.test for name, contender in evaluated.contenders.items()}
    best = max(models, key=lambda name: models[name]["auc"] or 0)
    yield "auc", plots.interval_plot(models, "auc", "AUC"), f"AUC of each model with its interval; {best} is highest"
    yield "loss", plots.interval_plot(models, "log_loss", "log-loss"), "Log-loss of each model with its interval"
    gained = {name: curves.gains(churned, some).tolist() for name, some in answers.items()}
    words = ", ".join(f"{name} {found[20]:.0%}" for name, found in gained.items())
    yield "gains", plots.gains_plot(gained), f"Share of leavers among the riskiest fifth: {words}"
    areas = {name: tuple(axis.tolist() for axis in curves.roc(churned, some)) for name, some in answers.items()}
    yield "roc", plots.roc_plot(areas), "ROC curves; their areas are the AUCs of the table"
    said = {name: curves.calibration(churned, some) for name, some in answers.items()}
    words = ", ".join(f"{name} {figures['ece']:.3f}" for name, figures in models.items())
    yield (
        "calibration",
        plots.calibration_plot(said),
        f"Probability said against share seen; calibration errors: {words}",
    )
    yield "months", plots.parts_plot(found["months"], list(models)), "AUC by month; the numbers stand in the table"
    for division, parts in found["segments"].items():
        yield (
            f"by-{division}",
            plots.parts_plot(parts, list(models)),
            f"AUC by {division}; the numbers stand in the table",
        )
    if "learning_curve" in found:
        yield "learning", plots.learning_plot(found["learning_curve"]), "AUC by the number of labelled users"
    for model, worths in found.get("importance", {}).get("groups", {}).items():
        yield f"worth-{model}", plots.worth_plot(worths), f"What {model} loses without each group of features"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"  # noqa: RUF001 - a dash in a table


def _signed(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:+.{digits}f}"  # noqa: RUF001 - a dash in a table


def _span(span: list[float] | None, digits: int = 3) -> str:
    return "" if span is None else f"{span[0]:.{digits}f} to {span[1]:.{digits}f}"
