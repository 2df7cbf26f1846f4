"""The figures as one JSON object, without a NaN in it."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forestay.dataset.plan import moment_text, span_text
from forestay_training.data_checks import check
from forestay_training.evaluation.bootstrap import Comparison, Figures, Interval
from forestay_training.evaluation.contenders import Contender
from forestay_training.evaluation.evaluate import Evaluated
from forestay_training.evaluation.rows import Rows
from forestay_training.evaluation.segments import months, segments

#: How measures are called where reports of other projects are read beside ours.
NAMES: Final = {"average_precision": "ap"}
#: Which differences are told, if both models are there.
PAIRS: Final = (
    ("fused", "lightgbm"), ("fused", "logistic"), ("blend", "lightgbm"), ("blend", "fused"), ("fused", "transformer"),
    ("fused", "gru"), ("lightgbm", "logistic"), ("fused", "bg_nbd"),
)  # fmt: skip
#: Draws of a segment: there are many, and their intervals are wide anyway.
_FEWER: Final = 4


def result(evaluated: Evaluated, draws: int, told: Callable[[str, int, int | None], None]) -> dict[str, Any]:
    """Returns everything an evaluation found."""
    test = evaluated.division.test
    answers = {name: contender.test for name, contender in evaluated.contenders.items()}
    compared = Comparison(
        test.users,
        test.churned,
        answers,
        draws,
        done=lambda done: told("measuring, models", done, len(answers)),
    )
    return {
        "models": {
            name: _figures(figures) | _about(evaluated.contenders[name])
            for name, figures in compared.figures().items()
        },
        "differences": {
            f"{one} - {other}": _spans(compared.difference(one, other))
            for one, other in PAIRS
            if one in answers and other in answers
        },
        **_facts(test),
        "train": _facts(evaluated.division.train) | {"learnt_until": moment_text(evaluated.question.learnt_until)},
        "calibration": _facts(evaluated.division.calibration),
        "months": {name: _part(test, mask, answers, draws) for name, mask in months(test)},
        "segments": _segments(test, answers, draws),
        "data_checks": check(evaluated.division.train.set, test.horizon, test.set).as_json(),
        "settings": _settings(evaluated, draws),
        "notes": list(evaluated.notes),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    values: dict[str, Any] = {NAMES.get(name, name): one.value for name, one in figures.items()}
    return values | {"intervals": {NAMES.get(name, name): _span(one) for name, one in figures.items()}}


def _span(interval: Interval) -> list[float] | None:
    return None if interval.low is None or interval.high is None else [interval.low, interval.high]


def _spans(figures: Figures) -> dict[str, Any]:
    return {NAMES.get(name, name): {"value": one.value, "interval": _span(one)} for name, one in figures.items()}


def _about(contender: Contender) -> dict[str, Any]:
    calibration = contender.calibration
    return {
        "setting": contender.setting,
        "validation_log_loss": None if contender.chosen_by is None else round(contender.chosen_by, 4),
        "platt": None if calibration is None else [round(calibration.slope, 4), round(calibration.intercept, 4)],
    }


def _facts(rows: Rows) -> dict[str, Any]:
    moments = sorted(set(rows.moments.tolist()))
    return {
        "rows": len(rows),
        "users": len(np.unique(rows.users)),
        "churn_rate": round(float(rows.churned.mean()), 6) if len(rows) else None,
        "cutoffs": [moment_text(moment) for moment in moments],
    }


def _segments(
    test: Rows, answers: Mapping[str, NDArray[np.float64]], draws: int
) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for division, part, mask in segments(test):
        found.setdefault(division, {})[part] = _part(test, mask, answers, draws)
    return found


def _part(
    test: Rows, mask: NDArray[np.bool_], answers: Mapping[str, NDArray[np.float64]], draws: int
) -> dict[str, Any]:
    rows = test.where(mask)
    some = {name: answer[mask] for name, answer in answers.items()}
    figures = Comparison(rows.users, rows.churned, some, draws // _FEWER).figures()
    wanted = ("auc", "log_loss", "ece", "calibration_gap")
    return {
        "rows": len(rows),
        "churn_rate": round(float(rows.churned.mean()), 6),
        "models": {
            name: _figures({measure: measured[measure] for measure in wanted}) for name, measured in figures.items()
        },
    }


def _settings(evaluated: Evaluated, draws: int) -> dict[str, Any]:
    question, served = evaluated.question, evaluated.served
    return {
        "horizon": span_text(question.horizon),
        "observed": span_text(question.observed),
        "model": None if served is None else {"version": served.version, "folder": served.folder.name},
        "fused": "as served" if served is not None else "fitted fresh",
        "bootstrap_draws": draws,
        "sources": list(evaluated.sources),
        "left_out_no_events": evaluated.problems.total,
        "forestay": version("forestay"),
    }
