"""From a recording to a model that Triton serves, with its figures: what `python -m forestay_training` does."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.core.feature_set import FEATURE_COUNT
from forestay.recording import open_recording
from forestay_training.card import card
from forestay_training.dataset import build_rows, share_of_users
from forestay_training.experiment import Run, Split, chosen_trees, run_baselines, run_network
from forestay_training.export import export
from forestay_training.labels import Orders
from forestay_training.report import environment, facts, figures
from forestay_training.splits import HORIZON_DAYS
from forestay_training.train import Note, Recipe
from forestay_training.triton_config import config_text

#: Digits of the file's SHA-256 that name a model.
_VERSION_DIGITS: Final = 12


@dataclass(frozen=True)
class Size:
    """How much to do."""

    share_of_users: float
    recipe: Recipe
    runs: int
    bootstrap_draws: int


FULL: Final = Size(share_of_users=1.0, recipe=Recipe(), runs=3, bootstrap_draws=400)
#: Runs everything in seconds; the model it makes is good for nothing.
QUICK: Final = Size(share_of_users=0.12, recipe=Recipe(epochs=2, batch=128), runs=1, bootstrap_draws=20)


def train(recording_path: Path, out: Path, seed: int, size: Size, note: Note) -> dict[str, Any]:
    """Writes `1/model.onnx`, `config.pbtxt`, `metrics.json` and `model_card.md` below `out`; returns the metrics.

    Raises:
        RecordingError: the recording cannot be read.
        ExportError: the exported file is not the network.
    """
    started = time.monotonic()
    recording = open_recording(recording_path)
    messages = share_of_users(recording, size.share_of_users)
    orders = Orders(messages)
    split = Split.of(build_rows(messages, orders))
    note(f"dataset: {len(split.train):,} rows to fit on, {len(split.test):,} and {len(split.live):,} to test on")
    baselines = run_baselines(split, orders, note)
    teacher = chosen_trees(baselines["LightGBM"])
    runs = [run_network(split, teacher, size.recipe, seed + number, note) for number in range(size.runs)]
    note("measuring, with intervals")
    measured = figures(split, baselines, runs, size.bootstrap_draws)
    model = out / "1" / "model.onnx"
    parity = export(runs[0].network, runs[0].judged.calibration, split.live.inputs, model)
    metrics = {
        "model_version": hashlib.sha256(model.read_bytes()).hexdigest()[:_VERSION_DIGITS],
        "input_digest": INPUT_DIGEST,
        "features": FEATURE_COUNT,
        "parameters": sum(parameter.numel() for parameter in runs[0].network.parameters()),
        "bytes": model.stat().st_size,
        "onnx_parity": parity,
        "seed": seed,
        "bootstrap_draws": size.bootstrap_draws,
        **facts(recording, split, size.share_of_users),
        **measured,
        "versions": environment(),
        "seconds": round(time.monotonic() - started, 1),
    }
    (out / "config.pbtxt").write_text(config_text(_parameters(metrics, runs[0])))
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    (out / "model_card.md").write_text(card(metrics))
    return metrics


def _parameters(metrics: dict[str, Any], run: Run) -> dict[str, str]:
    """Returns what the served model says about itself."""
    slope, intercept = run.judged.calibration
    return {
        "input_digest": INPUT_DIGEST,
        "horizon_days": str(HORIZON_DAYS),
        "model_version": metrics["model_version"],
        "trained_until": metrics["trained_until"],
        # One thread an instance: with matrices this small two are slower, on a busy machine by a factor of three.
        "intra_op_thread_count": "1",
        "calibration": f"platt, in the graph: slope {slope:.4f}, intercept {intercept:+.4f}",
    }
