"""The search for a recipe that is good and fast: Optuna tries, users held out judge."""

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import optuna
from sqlalchemy.exc import SQLAlchemyError

from forestay.core.errors import ForestayError
from forestay_training.addresses import without_secrets
from forestay_training.choosing import before_tests
from forestay_training.evaluation.baselines import tuned_trees
from forestay_training.evaluation.rows import Division
from forestay_training.fitting import DivergedError, Note, Probabilities, Recipe, edges, fit
from forestay_training.latency import milliseconds_a_user
from forestay_training.network import ChurnNetwork, Shape
from forestay_training.scaling import FeatureScaler
from forestay_training.training_set import TrainingSet

#: Log-loss that a millisecond a user is worth.
WEIGHT: Final = 0.002
#: Trials before, and epochs of each, that none is stopped early.
_UNSTOPPED_TRIALS, _UNSTOPPED_EPOCHS = 5, 2
#: Seconds between a running trial's signs of life.
HEARTBEAT: Final = 30
_GRID: Final[dict[str, list[Any]]] = {
    "width": [64, 96, 128],
    "layers": [1, 2, 3],
    "dropout": [0.1, 0.2, 0.3],
    "peak_rate": [1e-3, 2e-3, 4e-3],
    "soft_share": [0.7],
    "steps_penalty": [1e-3],
    "batch": [512],
}


@dataclass(frozen=True)
class Search:
    """What to try: `trials` recipes in all, with those of `storage` that are resumed; `horizon` in milliseconds."""

    horizon: int
    trials: int = 20
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    epochs: int = 8
    seed: int = 7
    storage: str | None = None
    resume: bool = False


class Tried(NamedTuple):
    """A trial: `objective` is `log_loss` plus `WEIGHT` times `milliseconds` a user; None of one that failed."""

    number: int
    state: str
    objective: float | None
    log_loss: float | None
    milliseconds: float | None
    epochs: int
    recipe: dict[str, Any]


class Tuned(NamedTuple):
    """The best recipe, its trial, all trials, and the study for plots."""

    recipe: Recipe
    best: Tried
    trials: list[Tried]
    study: optuna.Study


def tune(rows: TrainingSet, search: Search, note: Note, done: Callable[[Tried], None] = lambda _tried: None) -> Tuned:
    """Returns the best recipe; `done` is told of each trial. Test rows of `rows` are not looked at.

    Fits and samples follow the seed; times do not, and TPE learns from them: on another day it may try others.

    Raises:
        ForestayError: there are too few rows, or the storage cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        # Signs of life are experimental, Optuna says whenever they are looked at.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _tuned(rows, search, note, done)


def _tuned(rows: TrainingSet, search: Search, note: Note, done: Callable[[Tried], None]) -> Tuned:
    study = _study(rows, search)
    bench = _Bench(before_tests(rows, search.horizon), search, note)
    finished = len(_finished(study))
    if not study.trials and search.sampler != "grid":
        study.enqueue_trial(_parameters(Recipe()))
    study.optimize(
        bench.objective,
        n_trials=max(0, search.trials - finished),
        callbacks=[lambda _study, trial: done(_tried(trial))],
    )
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
        raise ForestayError("no trial has ended: ask for more --trials")
    best = _tried(study.best_trial)
    return Tuned(_recipe(best.recipe, search), best, [_tried(trial) for trial in _finished(study)], study)


class _Bench:
    """The same rows, teacher and seed for all trials; a shape's time is measured once."""

    def __init__(self, division: Division, search: Search, note: Note) -> None:
        self._division = division
        self._search = search
        self._note = note
        self._times: dict[Shape, float] = {}

    @cached_property
    def _teacher(self) -> Probabilities:
        self._note("boosted trees that have not seen a user teach the networks about them")
        trees, _ = tuned_trees(self._division.train)
        return trees.out_of_fold(self._division.train)

    def objective(self, trial: optuna.Trial) -> float:
        """Fits a recipe and returns its objective.

        Raises:
            TrialPruned: it falls behind, or cannot be fitted.
        """
        recipe = _recipe(_suggested(trial), self._search)
        milliseconds = self._milliseconds(recipe.shape)
        trial.set_user_attr("milliseconds", milliseconds)

        def checked(epoch: int, loss: float) -> None:
            trial.set_user_attr("log_loss", min(loss, trial.user_attrs.get("log_loss", loss)))
            trial.report(loss + WEIGHT * milliseconds, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            fitted = fit(
                self._division.train.set,
                self._division.calibration.set,
                self._search.horizon,
                recipe,
                self._search.seed,
                note=lambda _text: None,
                teacher=self._teacher,
                checked_epoch=checked,
            )
        except DivergedError as error:
            # A recipe that cannot be fitted is a bad one, and no end of the search.
            raise optuna.TrialPruned(str(error)) from error
        return min(fitted.history) + WEIGHT * milliseconds

    def _milliseconds(self, shape: Shape) -> float:
        # Dropout is not there when it answers.
        shape = replace(shape, dropout=0.0)
        if shape not in self._times:
            self._note(f"timing {shape.layers} layers of width {shape.width}")
            train = self._division.train
            inputs, number = train.inputs, len(edges(train.set, train.horizon))
            network = ChurnNetwork(shape, FeatureScaler.fit(inputs.features), inputs, number)
            self._times[shape] = milliseconds_a_user(network, inputs)
        return self._times[shape]


def _suggested(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "width": trial.suggest_categorical("width", [64, 96, 128]),
        "layers": trial.suggest_int("layers", 1, 3),
        "dropout": trial.suggest_float("dropout", 0.05, 0.4),
        "peak_rate": trial.suggest_float("peak_rate", 5e-4, 5e-3, log=True),
        "soft_share": trial.suggest_float("soft_share", 0.0, 1.0),
        "steps_penalty": trial.suggest_float("steps_penalty", 1e-4, 1e-1, log=True),
        "batch": trial.suggest_categorical("batch", [256, 512, 1_024]),
    }


def _parameters(recipe: Recipe) -> dict[str, Any]:
    return {name: getattr(recipe.shape, name, None) or getattr(recipe, name) for name in _GRID}


def _recipe(told: dict[str, Any], search: Search) -> Recipe:
    shape = {name: told[name] for name in ("width", "layers", "dropout")}
    rest = {name: value for name, value in told.items() if name not in shape}
    return Recipe(shape=Shape(**shape), epochs=search.epochs, **rest)


def _study(rows: TrainingSet, search: Search) -> optuna.Study:
    """Returns the trials so far, of the same rows, horizon, epochs and seed.

    Raises:
        ForestayError: there are some, and they are not to be gone on with; or the storage cannot be used.
    """
    if search.resume and search.storage is None:
        raise ForestayError("--resume goes on with the trials in --storage: name it")
    told = json.dumps([rows.manifest["parts"], search.horizon, search.epochs, search.seed], sort_keys=True)
    name = f"forestay-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    try:
        study = optuna.create_study(
            storage=None if search.storage is None else _storage(search.storage),
            study_name=name,
            load_if_exists=search.resume,
            pruner=optuna.pruners.MedianPruner(_UNSTOPPED_TRIALS, _UNSTOPPED_EPOCHS),
        )
    except optuna.exceptions.DuplicatedStudyError as error:
        told = f"{search.storage} has trials of this search: --resume goes on with them"
        raise ForestayError(without_secrets(told)) from error
    except (SQLAlchemyError, ImportError, ValueError) as error:
        told = f"--storage {search.storage} cannot be used ({error}): try sqlite:///tune.db"
        raise ForestayError(without_secrets(told)) from error
    study.sampler = _sampler(search, len(study.trials))
    return study


def _storage(address: str) -> optuna.storages.RDBStorage:
    """Returns the database of the trials; each trial's process leaves a sign of life in it.

    Before every trial Optuna takes those for failed whose process has left none for two intervals: it was killed. A
    trial of another process that lives, and searches along, is left alone.
    """
    return optuna.storages.RDBStorage(address, heartbeat_interval=HEARTBEAT)


def _sampler(search: Search, before: int) -> optuna.samplers.BaseSampler:
    """Returns the sampler; one that goes on draws otherwise than at the start."""
    if search.sampler == "grid":
        return optuna.samplers.GridSampler(_GRID, seed=search.seed)
    kind = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}[search.sampler]
    return kind(seed=search.seed + before)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return study.get_trials(states=ended)


def _tried(trial: optuna.trial.FrozenTrial) -> Tried:
    log_loss, milliseconds = (trial.user_attrs.get(name) for name in ("log_loss", "milliseconds"))
    return Tried(
        trial.number,
        trial.state.name.lower(),
        None if log_loss is None or milliseconds is None else log_loss + WEIGHT * milliseconds,
        log_loss,
        milliseconds,
        len(trial.intermediate_values),
        trial.params,
    )
