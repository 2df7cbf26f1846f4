"""From a training set to a candidate that can be promoted: what `forestay train` does."""

import hashlib
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.core.errors import ForestayError
from forestay.core.feature_set import FEATURE_COUNT
from forestay.core.units import DAY
from forestay.core.watch.reference import reference_of
from forestay.dataset.plan import moment_text, span_text
from forestay_training import data_checks
from forestay_training.calibrate import Platt
from forestay_training.card import card
from forestay_training.eight_bits import shrink
from forestay_training.evaluation import baselines
from forestay_training.evaluation.baselines import Trees
from forestay_training.evaluation.bootstrap import Comparison, Figures
from forestay_training.evaluation.contenders import Contender, blend, finish, fit_trees
from forestay_training.evaluation.rows import Division, Rows, divide, known_until
from forestay_training.export import Served, dimensions, export
from forestay_training.fitting import Fitted, Note, Probabilities, Recipe, edges, fit, predict
from forestay_training.groups import GROUPS
from forestay_training.pretraining import pretrain
from forestay_training.training_set import TrainingSet
from forestay_training.triton_config import config_text
from forestay_training.weights import save_network

#: Digits of the file's SHA-256 that name a model.
_VERSION_DIGITS: Final = 12
_LIBRARIES: Final = (
    "torch",
    "transformers",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "lightgbm",
    "scikit-learn",
    "numpy",
)
#: What the rows of a division are for, in its order.
_PURPOSES: Final = ("fit", "calibrate", "test")
#: Rows the exported file is compared with the network on.
_PARITY_ROWS: Final = 512
#: How a step's figures are kept: their name, the step, the value.
Measured = Callable[[str, int, float], None]


@dataclass(frozen=True)
class Wishes:
    """What to train: `horizon` (milliseconds) is that of the label decisions are made by; `about` is for the card.

    With `pretrain` at auto the network is fitted with and without it, and the one that validates better is taken.
    With `eight_bit` the exported file has 8-bit weights, and its own answers are what is judged.
    """

    horizon: int
    seed: int = 7
    recipe: Recipe = field(default_factory=Recipe)
    pretrain: Literal["auto", "yes", "no"] = "auto"
    device: str = "cpu"
    bootstrap_draws: int = 400
    about: str = ""
    eight_bit: bool = False


class Taken(NamedTuple):
    """The network that is taken, what was done for it in words, and what metrics and card say of that besides."""

    fitted: Fitted
    setting: str
    told: Mapping[str, Any]
    about: str = ""


#: Fits the network that is judged and exported; it is given the tuned trees, and a place for what is under way.
Fitter = Callable[[Division, Trees, Path, Note], Taken]


class _Made(NamedTuple):
    """The network that is taken, with its calibration, and who stood beside it."""

    taken: Taken
    calibration: Platt
    contenders: Mapping[str, Contender]


def _nowhere(_name: str, _step: int, _value: float) -> None:
    """Keeps nothing."""


class Looked(NamedTuple):
    """A training set that can be trained on: its rows, what they are for, and what the checks of them said."""

    folder: Path
    rows: TrainingSet
    division: Division
    checked: data_checks.Checked


def look(folder: Path, horizon: int, note: Note) -> Looked:
    """Reads a training set and refuses what nothing can be learned from, before anything is begun.

    Raises:
        ForestayError: the folder is no training set, or there is nothing to learn or to judge by.
    """
    rows = TrainingSet.load(folder)
    division = divided(rows, horizon)
    counts = (f"{len(part):,} rows to {purpose}" for part, purpose in zip(division, _PURPOSES, strict=True))
    note(", ".join(counts))
    checked = data_checks.check(division.train.set, horizon, division.test.set)
    if checked.errors:
        raise ForestayError("; ".join(checked.errors))
    for warning in checked.warnings:
        note(f"data: {warning}")
    return Looked(folder, rows, division, checked)


def train(
    looked: Looked,
    out: Path,
    wishes: Wishes,
    note: Note,
    *,
    fitter: Fitter | None = None,
    measured: Measured = _nowhere,
) -> dict[str, Any]:
    """Writes graph, configuration, metrics, card and weights into `out`; returns the metrics.

    `fitter` fits otherwise than `wishes` would. `measured` is told each epoch's validation log-loss.

    A run that was killed goes on where it stopped if it is started again with the same training set and wishes.

    Raises:
        ForestayError: the fit diverged, or the fitter refuses what came of it.
        ExportError: the exported file is not the network.
    """
    started = time.monotonic()
    folder, rows, division, checked = looked
    made = _made(division, out, note, fitter or _usual(rows, wishes, measured))
    network = made.taken.fitted.network
    edge_list = edges(division.train.set, wishes.horizon)
    served = Served(network, made.calibration, edge_list.index(wishes.horizon))
    note("exporting, and comparing what the file says with the network")
    parity = export(
        served, division.test.where(np.arange(len(division.test)) < _PARITY_ROWS).inputs, out / "model.onnx"
    )
    save_network(out / "network.pt", network)
    contenders, in_eight_bits = dict(made.contenders), {}
    if wishes.eight_bit:
        shrunk = shrink(out / "model.onnx", division.test)
        contenders["fused"] = contenders["fused"]._replace(test=shrunk.answers)
        in_eight_bits = {"eight_bit": shrunk.told}
    note(f"measuring, with {wishes.bootstrap_draws} draws of users")
    test = _judged(division.test, contenders, wishes.bootstrap_draws)
    metrics = {
        "model_version": hashlib.sha256((out / "model.onnx").read_bytes()).hexdigest()[:_VERSION_DIGITS],
        "served": "fused",
        "input_digest": INPUT_DIGEST,
        "features": FEATURE_COUNT,
        "label": rows.manifest["label"]["churned"],
        "horizon_days": wishes.horizon // DAY,
        "horizons": [span_text(edge) for edge in edge_list],
        "groups": list(GROUPS),
        "trained_until": moment_text(max(known_until(some.set) for some in (division.train, division.calibration))),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "bytes": (out / "model.onnx").stat().st_size,
        "onnx_parity": parity,
        **in_eight_bits,
        "calibration": made.calibration._asdict(),
        "epochs": made.taken.fitted.epochs,
        **made.taken.told,
        "data": _data(folder, rows),
        "code": {"forestay": version("forestay"), "commit": _commit()},
        "seed": wishes.seed,
        "recipe": asdict(wishes.recipe),
        "bootstrap_draws": wishes.bootstrap_draws,
        "rows": {name: _rows(getattr(division, name)) for name in Division._fields},
        "data_checks": checked.as_json(),
        "reference": _reference(division.calibration, made.contenders["fused"]),
        "test": test,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "seconds": round(time.monotonic() - started, 1),
    }
    (out / "config.pbtxt").write_text(config_text(_parameters(metrics, served), dimensions(network)))
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    (out / "model_card.md").write_text(card(metrics, f"{wishes.about}\n\n{made.taken.about}"))
    return metrics


def divided(rows: TrainingSet, horizon: int) -> Division:
    """Returns the rows of each purpose, at a horizon in milliseconds.

    Raises:
        ForestayError: there is no test, or too little of anything.
    """
    test = rows.moments[rows.splits == "test"]
    if not len(test):
        raise ForestayError("no rows to test on: make the training set with --test-from, at its newest cutoffs")
    division = divide(Rows.of(rows, horizon), int(test.min()))
    for name, some in zip(Division._fields, division, strict=True):
        if not some.enough:
            raise ForestayError(
                f"{len(some):,} rows for {name}, {int(some.churned.sum()):,} of whom have left, are too few"
                f"{_unknown(rows.churned(horizon)[rows.moments >= test.min()], horizon) if name == 'test' else ''}:"
                " take more cutoffs, or a shorter horizon"
            )
    return division


def _unknown(churned: NDArray[np.float32], horizon: int) -> str:
    """Says how many rows go out as the data end before their horizon does (right-censoring)."""
    rows = int(np.isnan(churned).sum())
    return f" ({rows:,} more have no label yet: the data end before {span_text(horizon)} are over)" if rows else ""


def _made(division: Division, out: Path, note: Note, fitter: Fitter) -> _Made:
    contenders = {}
    note("fitting recency and logistic regression")
    contenders["recency"] = finish(baselines.recency(division.train), division)
    contenders["logistic"] = finish(baselines.logistic(division.train), division)
    contenders["lightgbm"], trees = fit_trees(division, note)
    taken = fitter(division, trees, out / ".checkpoint", note)
    answer = baselines.Fit(lambda some: predict(taken.fitted.network, some.inputs), taken.setting)
    contenders["fused"] = finish(answer, division)
    contenders["blend"] = blend(contenders["lightgbm"], contenders["fused"], division)
    calibration = contenders["fused"].calibration
    assert calibration is not None  # noqa: S101 - there are enough rows to calibrate on
    shutil.rmtree(out / ".checkpoint", ignore_errors=True)
    return _Made(taken, calibration, contenders)


def _usual(rows: TrainingSet, wishes: Wishes, measured: Measured) -> Fitter:
    """Returns what fits as `wishes` say."""

    def fitter(division: Division, trees: Trees, place: Path, note: Note) -> Taken:
        note("boosted trees that have not seen a user teach the network about them")
        teacher = trees.out_of_fold(division.train)
        fitted, pretrained = _fitted(division, teacher, wishes, place / _name(rows, wishes), note, measured)
        setting = f"{fitted.epochs} epochs{', pre-trained' * pretrained}"
        return Taken(fitted, setting, {"pretrained": pretrained})

    return fitter


def _fitted(  # noqa: PLR0917 - what a fit takes, and who is told
    division: Division, teacher: Probabilities, wishes: Wishes, checkpoints: Path, note: Note, measured: Measured
) -> tuple[Fitted, bool]:
    """Returns the network that validates best of those wished for, and whether it was pre-trained."""
    found: list[tuple[Fitted, bool]] = []
    for pretrained in {"auto": (False, True), "yes": (True,), "no": (False,)}[wishes.pretrain]:
        weights = None
        if pretrained:
            weights = pretrain(
                division.train.set,
                wishes.recipe,
                wishes.seed,
                note,
                checkpoint=checkpoints / "pretraining.pt",
                device=wishes.device,
            )
        fitted = fit(
            division.train.set,
            division.calibration.set,
            wishes.horizon,
            wishes.recipe,
            wishes.seed,
            note=note,
            teacher=teacher,
            pretrained=weights,
            checkpoint=checkpoints / ("pretrained.pt" if pretrained else "fit.pt"),
            device=wishes.device,
            checked_epoch=partial(measured, f"validation_log_loss{'_pretrained' * pretrained}"),
        )
        found.append((fitted, pretrained))
        note(f"{'with' if pretrained else 'without'} pre-training: validation log-loss {min(fitted.history):.4f}")
    return min(found, key=lambda one: min(one[0].history))


def _name(rows: TrainingSet, wishes: Wishes) -> str:
    """Returns what a run under way is called: another set or another wish is another run."""
    told = json.dumps([rows.manifest["parts"], asdict(wishes) | {"about": ""}], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _judged(test: Rows, contenders: Mapping[str, Contender], draws: int) -> dict[str, Any]:
    answers = {name: contender.test for name, contender in contenders.items()}
    comparison = Comparison(test.users, test.churned, answers, draws)
    rivals = [name for name in answers if name != "fused"]
    return {
        "settings": {name: contender.setting for name, contender in contenders.items()},
        "figures": {name: _plain(figures) for name, figures in comparison.figures().items()},
        "differences": {rival: _plain(comparison.difference("fused", rival)) for rival in rivals},
    }


def _plain(figures: Figures) -> dict[str, tuple[float | None, ...]]:
    return {measure: tuple(interval) for measure, interval in figures.items()}


def _rows(rows: Rows) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "users": len(np.unique(rows.users)),
        "churned": round(float(rows.churned.mean()), 4),
        "first_cutoff": moment_text(int(rows.moments.min())),
        "last_cutoff": moment_text(int(rows.moments.max())),
    }


def _reference(newest: Rows, fused: Contender) -> str:
    """Returns what the worker's drift watch holds its rows against: the newest that nothing was fitted on."""
    within_a_day = newest.set.horizons.index(DAY) if DAY in newest.set.horizons else None
    return reference_of(
        newest.inputs,
        fused.predict(newest),
        users=newest.users,
        returned=None if within_a_day is None else 1 - newest.set.left[:, within_a_day],
    )


def _data(folder: Path, rows: TrainingSet) -> dict[str, Any]:
    """Returns what names the rows: the same are the same, whoever made them and wherever they lie."""
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    sources = [{key: source[key] for key in ("name", "sha256")} for source in rows.manifest["sources"]]
    return {"manifest": digest, "sources": sources}


def _commit() -> str | None:
    """Returns the commit this code is of, with `-dirty` where it has been changed since; None where it is of none.

    Installed below somebody's own repository it is not a part of that.
    """
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    if _told([*git, "ls-files", "--error-unmatch", here.name]) is None:
        return None
    return _told([*git, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty"])


def _told(command: list[str]) -> str | None:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603 - ours
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()


def _parameters(metrics: Mapping[str, Any], served: Served) -> dict[str, str]:
    """Returns what the served model says about itself."""
    slope, intercept = metrics["calibration"].values()
    return {
        "input_digest": INPUT_DIGEST,
        "horizon_days": str(metrics["horizon_days"]),
        "model_version": metrics["model_version"],
        "trained_until": metrics["trained_until"],
        # One thread an instance: with matrices this small two are slower, on a busy machine by a factor of three.
        "intra_op_thread_count": "1",
        "calibration": f"platt, in the graph: slope {slope:.4f}, intercept {intercept:+.4f}",
        "horizons": ",".join(metrics["horizons"]),
        "groups": ",".join(GROUPS),
        "bias": repr(served.bias),
        "reference": metrics["reference"],
    }
