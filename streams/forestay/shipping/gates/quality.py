"""Gates that read the figures: told at all, no worse than what is there, and calibrated.

"Worse" is beyond chance: where the difference was measured on the same rows, its 95 % interval lies wholly on the bad
side; else the value lies outside the other's interval.
"""

from math import inf, log
from typing import Final

from forestay.shipping.figures import Figure, Figures, Metrics
from forestay.shipping.gates.verdict import Outcome, Verdict, judged

#: Measures a candidate must tell of itself and of boosted trees, and whether more is better.
MEASURES: Final = {"auc": True, "log_loss": False}
_TITLES: Final = {"auc": "AUC", "log_loss": "log-loss"}
#: What calibration is to reach; where boosted trees on the same rows do not, as near as they come.
ECE: Final = 0.02
SLOPES: Final = (0.8, 1.25)
#: An interval of the slope that reaches beyond tells nothing: half and double would pass by chance.
TELLING: Final = (0.5, 2.0)


def figures_told(metrics: Metrics) -> Verdict:
    """The figures that the other gates judge by are there."""
    faults = []
    told = (*MEASURES, "ece", "calibration_slope")
    # Boosted trees may have no slope on these rows; of what is to be served nothing may be left untold.
    for title, figures, names in (
        ("the served model", metrics.served_figures, told),
        ("LightGBM", metrics.trees, told[:-1]),
    ):
        missing = [name for name in names if name not in (figures or {})]
        if missing:
            faults.append(f"metrics.json has no {', '.join(missing)} of {title}")
    if metrics.trained_until is None:
        faults.append("metrics.json does not say until when it was trained")
    if not metrics.data:
        faults.append("metrics.json does not name its data")
    return judged("figures", faults, f"all there, trained until {str(metrics.trained_until)[:10]}")


def no_worse(metrics: Metrics, current: Metrics | None) -> Verdict:
    """It is no worse than boosted trees, nor than the current version where both met the same rows."""
    served = metrics.served_figures or {}
    faults = [
        f"{_TITLES[name]} is worse than LightGBM's on the same rows: by {metrics.less_trees[name]}"
        if name in metrics.less_trees
        else f"{_TITLES[name]} {served[name].value:.4f} is worse than LightGBM's {(metrics.trees or {})[name]}"
        for name, rises in MEASURES.items()
        if _worse_than_trees(metrics, name, rises=rises)
    ]
    against = "LightGBM"
    if current is not None:
        if metrics.same_rows(current):
            against += " and the current version"
            faults += _beyond(served, current.served_figures or {})
        else:
            against += "; the current version was measured on other rows, which says nothing of these"
    told = ", ".join(f"{_TITLES[name]} {served[name].value:.4f}" for name in MEASURES if name in served)
    return judged("quality", faults, f"{told}: no worse than {against}")


def _worse_than_trees(metrics: Metrics, name: str, *, rises: bool) -> bool:
    difference = metrics.less_trees.get(name)
    if difference is not None:
        return difference.high < 0 if rises else difference.low > 0
    served, trees = (metrics.served_figures or {}).get(name), (metrics.trees or {}).get(name)
    return served is not None and trees is not None and _outside(served, trees, rises=rises)


def _beyond(served: Figures, current: Figures) -> list[str]:
    return [
        f"{_TITLES[name]} {served[name].value:.4f} is worse than the current version's {current[name]}"
        for name, rises in MEASURES.items()
        if name in served and name in current and _outside(served[name], current[name], rises=rises)
    ]


def _outside(one: Figure, other: Figure, *, rises: bool) -> bool:
    return one.value < other.low if rises else one.value > other.high


def calibrated(metrics: Metrics) -> Verdict:
    """Its probabilities mean what they say, as well as anybody's on these rows, if these are enough to tell."""
    served, trees = metrics.served_figures or {}, metrics.trees or {}
    faults, unsure, told = [], [], []
    if "ece" in served:
        told.append(f"ECE {served['ece'].value:.4f}")
        fault, doubt = _error(served["ece"], trees.get("ece"), metrics.less_trees.get("ece"))
        faults += fault
        unsure += doubt
    if "calibration_slope" in served:
        slope, low, high = served["calibration_slope"]
        told.append(f"slope {slope:.2f}")
        by_trees = _distance(trees["calibration_slope"].value) if "calibration_slope" in trees else 0.0
        outside = high < SLOPES[0] or low > SLOPES[1]
        if outside and _distance(slope) > by_trees:
            faults.append(f"the calibration slope, {served['calibration_slope']}, lies outside {SLOPES}")
        elif not outside and (low < TELLING[0] or high > TELLING[1]):
            unsure.append(
                f"the calibration slope, {served['calibration_slope']}, may be half or double what is right"
            )
    if unsure and not faults:
        return Verdict("calibration", Outcome.UNJUDGED, f"too few test rows: {'; '.join(unsure)}")
    return judged("calibration", faults, ", ".join(told) or "no figures")


def _error(served: Figure, trees: Figure | None, difference: Figure | None) -> tuple[list[str], list[str]]:
    """Returns what is wrong with an ECE, and what too few rows leave open.

    Of few rows the ECE of any model is above 0.02, as chance moves each bin. Chance moves boosted trees' on the same
    rows alike: what counts then is whether it is more than 0.02 worse than theirs (a test of non-inferiority).
    """
    if served.value <= ECE:
        return [], []
    if trees is None:
        return [f"ECE {served.value:.4f} is more than {ECE:.4f}"], []
    if difference is None:
        # Not told on the same draws: the ends of theirs are all there is to say.
        difference = Figure(*(served.value - one for one in (trees.value, trees.high, trees.low)))
    if difference.low > 0:
        return [f"ECE {served.value:.4f} is more than {ECE:.4f} and than LightGBM's, {trees}"], []
    if difference.high > ECE:
        return [], [f"ECE {served.value:.4f} may be more than {ECE:.4f} worse than LightGBM's, by {difference}"]
    return [], []


def _distance(slope: float) -> float:
    """Returns how far a slope is from 1, where half and double are as far."""
    return abs(log(slope)) if slope > 0 else inf
