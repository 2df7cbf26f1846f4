"""Run after run on one cluster; what fails is kept and told, and the next goes on."""

import json
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from forestay_chaos.cluster import Cluster
from forestay_chaos.engines import FORESTAY, Engine
from forestay_chaos.errors import ChaosError
from forestay_chaos.outcome import Outcome
from forestay_chaos.paths import KEPT
from forestay_chaos.run import Run, Tell
from forestay_chaos.scenario import Scenario
from forestay_chaos.triton import TritonSeat

#: A cluster that cannot be mended so often in a row ends the campaign.
_MOST_ERRORS: Final = 3
_RUNNING: Final = "running-"


class Campaign:
    """The cluster and Triton, and what runs on them came to."""

    def __init__(self, cluster: Cluster, triton: TritonSeat, folder: Path, keep: bool, engine: Engine) -> None:
        """Takes machines that are up."""
        self._engine = engine
        self.outcomes: list[Outcome] = []
        self.errors: list[str] = []
        self._cluster = cluster
        self._triton = triton
        self._folder = folder
        self._keep = keep
        self._failed_in_a_row = 0

    @classmethod
    @contextmanager
    def open(cls, keep: bool = False, engine: Engine = FORESTAY) -> Iterator[Self]:
        """Starts the machines, in a folder that goes with them."""
        KEPT.mkdir(parents=True, exist_ok=True)
        _sweep()
        prefix = f"{_RUNNING}{os.getpid()}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=KEPT, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            with Cluster(folder) as cluster, TritonSeat(folder) as triton:
                yield cls(cluster, triton, folder, keep, engine)

    def play(self, scenario: Scenario, tell: Tell = lambda _: None) -> Outcome | None:
        """Plays a run; None where the harness could not.

        Raises:
            ChaosError: it could not, several times in a row.
        """
        folder = self._folder / f"seed-{scenario.seed}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        began = time.monotonic()
        try:
            outcome = Run(scenario, self._cluster, self._triton, folder, self._engine).play(tell)
        # One run in hundreds that the harness or the oracle cannot cope with is told with the others' results.
        except Exception as error:
            self._failed_in_a_row += 1
            kept = _keep(folder, traceback.format_exception(error))
            self.errors.append(f"seed {scenario.seed}: {type(error).__name__}: {error} (logs in {kept})")
            if self._failed_in_a_row >= _MOST_ERRORS:
                raise ChaosError(f"given up after {_MOST_ERRORS} runs in a row that could not be played") from error
            return None
        self._failed_in_a_row = 0
        outcome.seconds = time.monotonic() - began
        self.outcomes.append(outcome)
        if self._keep or not outcome.good:
            (folder / "outcome.json").write_text(json.dumps(outcome.as_json(), indent=1, default=str))
            _keep(folder, outcome.findings())
        shutil.rmtree(folder, ignore_errors=True)
        return outcome


def _sweep() -> None:
    """Removes what campaigns left that were killed: their machines went with them, their folders did not."""
    for folder in KEPT.glob(f"{_RUNNING}*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _keep(folder: Path, findings: Sequence[str]) -> Path:
    """Copies a run's folder to where it stays."""
    kept = KEPT / folder.name
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("recording"))
    (kept / "findings.txt").write_text("\n".join(findings) + "\n")
    return kept
