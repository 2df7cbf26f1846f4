"""Runs kept with MLflow where it is installed: what was asked, figures by step, and the files that came of it."""

import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from forestay.core.errors import ForestayError

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
        """Keeps the files of a folder, and of none below it."""


class _Kept(Run):
    """A run of MLflow."""

    def __init__(self, client: Any, run: str) -> None:
        self._client = client
        self._run = run

    def measured(self, name: str, step: int, value: float) -> None:
        if math.isfinite(value):
            self._client.log_metric(self._run, name, value, step=step)

    def keep(self, folder: Path) -> None:
        for file in sorted(folder.iterdir()):
            if file.is_file():
                self._client.log_artifact(self._run, str(file))


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
        client, run = _begun(name, asked, note)
        end = "KILLED"
        try:
            yield _Kept(client, run)
            end = "FINISHED"
        except Exception:
            end = "FAILED"
            raise
        finally:
            client.set_terminated(run, end)


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
    except (mlflow.MlflowException, OSError) as error:
        raise ForestayError(f"MLflow at {_shown(_address())} keeps no run: {error}; see {_ADDRESS}") from error
    note(f"tracked by MLflow at {_shown(_address())}, run {run}")
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


def _shown(address: str) -> str:
    """Returns the address without a user and password in it."""
    scheme, mark, rest = address.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else address
