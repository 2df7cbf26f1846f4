"""Runs kept with MLflow where it is installed: what was asked, figures by step, and the files that came of it."""

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from forestay.core.errors import ForestayError
from forestay.shipping.folder import PARTS, WEIGHTS
from forestay_training.addresses import without_secrets

Note = Callable[[str], None]

#: Database (SQLite: MLflow keeps runs as plain files no more) and files of runs, unless `MLFLOW_TRACKING_URI` is set.
FOLDER: Final = Path(".forestay/mlruns")
EXPERIMENT: Final = "forestay"
_ADDRESS: Final = "MLFLOW_TRACKING_URI"
#: MLflow tells its makers about its use otherwise.
_SILENT: Final = "MLFLOW_DISABLE_TELEMETRY"
#: MLflow's limit for a parameter's text.
_LONGEST: Final = 6_000


class Run:
    """A run that is kept nowhere: what `tracked` yields without MLflow."""

    def measured(self, name: str, step: int, value: float) -> None:
        """Keeps a figure of a step; one that is no number is left out."""

    def keep(self, folder: Path) -> None:
        """Keeps a candidate's files; what else lies in its folder is nobody else's business."""


class _Kept(Run):
    """A run of MLflow, for as long as MLflow keeps it: an hour's fit does not end because a server beside it does."""

    def __init__(self, client: Any, run: str, note: Note) -> None:
        self._client = client
        self._run = run
        self._note = note
        self._lost = False

    def measured(self, name: str, step: int, value: float) -> None:
        if math.isfinite(value):
            self._tell(lambda: self._client.log_metric(self._run, name, value, step=step))

    def keep(self, folder: Path) -> None:
        for name in (*PARTS, WEIGHTS):
            if (folder / name).is_file():
                self._tell(partial(self._client.log_artifact, self._run, str(folder / name)))

    def end(self, how: str) -> None:
        """Ends it as FINISHED, FAILED or KILLED."""
        self._tell(lambda: self._client.set_terminated(self._run, how))

    def _tell(self, call: Callable[[], object]) -> None:
        """Tells MLflow something; from its first error on, of which one line is said, nothing more."""
        from mlflow import MlflowException  # noqa: PLC0415 - as in `_begun`

        if self._lost:
            return
        try:
            call()
        except (MlflowException, OSError) as error:
            self._lost = True
            self._note(f"MLflow keeps no more of this run, which goes on: {without_secrets(error)}")


@contextmanager
def tracked(name: str, asked: Mapping[str, Any], note: Note) -> Iterator[Run]:
    """Yields a run called `name` with `asked` as its parameters, nested ones by dotted names.

    It ends as FINISHED, FAILED with an error, or KILLED with what is none (Ctrl-C).

    Raises:
        ForestayError: MLflow cannot keep it where `MLFLOW_TRACKING_URI` says.
    """
    if find_spec("mlflow") is None:
        note("this run is not tracked: pip install mlflow-skinny, and the next one is")
        yield Run()
        return
    with warnings.catch_warnings():
        # Of its own use of SQLAlchemy, which is not ours to change.
        warnings.simplefilter("ignore")
        run = _Kept(*_begun(name, asked, note), note)
        end = "KILLED"
        try:
            yield run
            end = "FINISHED"
        except Exception:
            end = "FAILED"
            raise
        finally:
            run.end(end)


def flat(asked: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Returns the leaves of nested mappings as texts, by dotted names."""
    found: dict[str, str] = {}
    for key, value in asked.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = str(value)[:_LONGEST]
    return found


def _begun(name: str, asked: Mapping[str, Any], note: Note) -> tuple[Any, str]:
    os.environ.setdefault(_SILENT, "true")
    import mlflow  # noqa: PLC0415 - it need not be installed, and takes seconds

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # Its log of changes to the database's tables, dozens of lines at the first run.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        client = mlflow.MlflowClient(_address())
        run: str = client.create_run(_experiment(client), run_name=name).info.run_id
        for key, value in flat(asked).items():
            client.log_param(run, key, value)
    except (mlflow.MlflowException, ImportError, OSError) as error:
        told = f"MLflow at {_address()} keeps no run: {error}; see {_ADDRESS}"
        raise ForestayError(without_secrets(told)) from error
    note(without_secrets(f"tracked by MLflow at {_address()}, run {run}"))
    return client, run


def _experiment(client: Any) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    place = None if _ADDRESS in os.environ else (FOLDER / "files").resolve().as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))


def _address() -> str:
    told = os.environ.get(_ADDRESS)
    if told:
        return told
    FOLDER.mkdir(parents=True, exist_ok=True)
    # MLflow keeps a store by its address for as long as the process lives: another folder must be another address.
    return f"sqlite:///{FOLDER.resolve() / 'runs.db'}"
