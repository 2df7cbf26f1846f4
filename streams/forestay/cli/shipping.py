"""`forestay model` at work: finds the folder, holds its lock, and says what happened."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from forestay.cli.console import console, print_json, table
from forestay.demo.stack import find
from forestay.settings import Settings
from forestay.shell.scoring.rollout import Rollout
from forestay.shipping.changes import Conditions, NoServer, Refused, Shipping, as_told, rollout_of
from forestay.shipping.errors import ShippingError
from forestay.shipping.figures import Figures, Metrics, read_figures
from forestay.shipping.folder import ADMISSION, ModelFolder, read_json
from forestay.shipping.gates.judge import judge
from forestay.shipping.gates.verdict import Outcome, Verdict
from forestay.shipping.triton_server import TritonServer

_MARKS = {Outcome.PASSED: "✓", Outcome.REFUSED: "✗", Outcome.UNJUDGED: "?"}


def folder_of(settings: Settings, repository: Path | None) -> ModelFolder:
    """Returns the model's folder.

    Raises:
        ShippingError: there is none.
    """
    return ModelFolder(find("model_repository", repository) / settings.triton.model)


class Desk:
    """Where one change is made: the folder is locked while the context is open."""

    def __init__(
        self, settings: Settings, repository: Path | None, conditions: Conditions, *, reload: bool, as_json: bool
    ) -> None:
        """With `reload` a Triton is told, and must be there."""
        self._folder = folder_of(settings, repository)
        self._triton = TritonServer(settings.triton) if reload else None
        self.shipping = Shipping(self._folder, self._triton or NoServer(), conditions)
        self._as_json = as_json
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Locks the folder.

        Raises:
            ShippingError: another changes it, or no Triton is there to be told.
        """
        self._open.enter_context(self._folder.locked())
        try:
            if self._triton is not None:
                self._triton.check()
        except ShippingError:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the folder; what gates refused is told gate by gate."""
        self._open.close()
        if isinstance(error, Refused):
            if self._as_json:
                print_json({"done": False, "gates": [one._asdict() for one in error.verdicts]})
            else:
                tell(error.verdicts)

    def said(self, rollout: Rollout, words: str) -> None:
        """Tells of a change that was made."""
        gates = self.shipping.verdicts
        if self._as_json:
            print_json({"done": True, "rollout": as_told(rollout), "gates": [one._asdict() for one in gates]})
            return
        if gates:
            tell(gates)
        names = {name: f"version {value}" for name, value in rollout._asdict().items()}
        where = "" if self._triton is None else "; Triton has taken it"
        console().print(f"{words.format(**names)}{where}")


def tell(verdicts: Sequence[Verdict]) -> None:
    """Prints a line a gate."""
    lines = table("", "gate", "")
    lines.show_header = False
    for one in verdicts:
        lines.add_row(_MARKS[one.outcome], one.gate, one.words)
    console().print(lines)


def examine(settings: Settings, repository: Path | None, candidate: Path, data: Path | None, *, as_json: bool) -> int:
    """Tells what the gates say of a folder, on the rows of `data` too; returns 1 if one refuses it.

    Raises:
        ShippingError: there is no such folder.
    """
    if not candidate.is_dir():
        raise ShippingError(f"{candidate} is no folder: name what `forestay train --out` has written")
    folder = folder_of(settings, repository)
    current = folder.version(rollout_of(folder).current)
    verdicts = judge(candidate, folder.name, None if current.samefile(candidate) else current, data)
    refused = [one for one in verdicts if one.outcome is Outcome.REFUSED]
    if as_json:
        print_json({"admitted": not refused, "gates": [one._asdict() for one in verdicts]})
    else:
        tell(verdicts)
        if refused:
            sys.stdout.flush()
            sys.stderr.write(f"forestay: refused by {', '.join(one.gate for one in refused)}\n")
    return 1 if refused else 0


def show(settings: Settings, repository: Path | None, *, as_json: bool) -> None:
    """Prints the versions and what they are for."""
    folder = folder_of(settings, repository)
    rollout = rollout_of(folder)
    versions = [_described(folder, rollout, number) for number in folder.versions()]
    if as_json:
        print_json({"model": folder.name, "rollout": as_told(rollout), "versions": versions})
        return
    rows = table(
        "",
        "state",
        "model",
        "trained until",
        "AUC",
        "log-loss",
        "ECE",
        "kB",
        "admitted",
        right=("", "AUC", "ECE", "kB"),
    )
    for one in versions:
        figures = one["figures"]
        rows.add_row(
            str(one["version"]),
            one["state"],
            one["model_version"] or "?",
            str(one["trained_until"] or "?")[:10],
            *(f"{figures[name]:.4f}" if name in figures else "" for name in ("auc", "log_loss", "ece")),
            f"{one['bytes'] / 1e3:,.0f}",
            str(one["admitted"] or "")[:10] + (f", forced: {one['force']}" if one["force"] else ""),
        )
    console().print(rows)


def _described(folder: ModelFolder, rollout: Rollout, number: int) -> dict[str, Any]:
    place = folder.version(number)
    metrics = _metrics(place)
    admission = read_json(place / ADMISSION)
    served: Figures = metrics.served_figures or {}
    return {
        "version": number,
        "state": _state(rollout, number),
        "model_version": metrics.model_version,
        "trained_until": metrics.trained_until,
        "data": metrics.data,
        "figures": {name: figure.value for name, figure in served.items()},
        "bytes": sum(file.stat().st_size for file in place.glob("*.onnx*")),
        "admitted": admission.get("at"),
        "force": admission.get("force"),
    }


def _metrics(place: Path) -> Metrics:
    """Returns a version's figures, none where they cannot be read: the list shows what there is."""
    try:
        return read_figures(place)
    except ShippingError:
        return Metrics()


def _state(rollout: Rollout, number: int) -> str:
    if number == rollout.current:
        return "current"
    if number == rollout.canary:
        return f"canary, {rollout.canary_share:.1%} of users"
    if number == rollout.shadow:
        return "shadow"
    return "before" if rollout.before[-1:] == (number,) else ""
