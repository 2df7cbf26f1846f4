"""`forestay adapt-model`: the run that every candidate goes through, with an adaptation in the middle."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from forestay.core.errors import ForestayError
from forestay.core.units import DAY
from forestay_training.adapting import Adaptation, Adapted, Old, adapt
from forestay_training.choosing import before_tests
from forestay_training.evaluation.baselines import Trees
from forestay_training.evaluation.rows import Division
from forestay_training.fitting import Note, Recipe
from forestay_training.network import ChurnNetwork
from forestay_training.run import Fitter, Taken, Wishes
from forestay_training.training_set import TrainingSet
from forestay_training.weights import load_network

#: Fewer epochs and smaller steps than from nothing: most of it is known.
RECIPE: Final = Recipe(epochs=4, peak_rate=1e-3)
_ABOUT: Final = """**Adapted** from version {base} by low-rank updates of rank {rank} ({free:,} free weights), merged.
{replayed:,} old rows were replayed in each epoch. On {reference:,} rows of the old set that nothing was fitted on the
calibrated log-loss went from {before:.4f} to {after:.4f} ({worse:+.1%})."""


class WorseError(ForestayError):
    """The adapted network has forgotten what the base knew: the base stays."""


@dataclass(frozen=True)
class Base:
    """The model that is adapted: its folder, network and the figures it came with."""

    folder: Path
    network: ChurnNetwork
    metrics: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> "Base":
        """Reads a candidate, or a version in the repository.

        Raises:
            ForestayError: it is neither, or has no weights.
        """
        network = load_network(folder / "network.pt")
        try:
            metrics = json.loads((folder / "metrics.json").read_text())
            # What is needed of it is there, before anything is fitted.
            str(metrics["model_version"]), int(metrics["horizon_days"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ForestayError(f"{folder} is no candidate of `forestay train`: metrics.json: {error}") from error
        return cls(folder, network, metrics)

    @property
    def horizon(self) -> int:
        """Returns the main horizon in milliseconds."""
        return int(self.metrics["horizon_days"]) * DAY


def adapting(base: Base, wishes: Wishes, old: Old, how: Adaptation, max_worse: float) -> Fitter:
    """Returns what adapts `base`; `WorseError` if the reference's log-loss grows by more than `max_worse`."""

    def fitter(division: Division, trees: Trees, _place: Path, note: Note) -> Taken:
        note("boosted trees that have not seen a user teach the network about them")
        teacher = trees.out_of_fold(division.train)
        found = adapt(
            base.network, division.train, division.calibration, old, replace(wishes.recipe, shape=base.network.shape),
            how, wishes.seed, teacher=teacher, note=note,
        )  # fmt: skip
        told = _told(base, old, how, found)
        note(f"reference: log-loss {found.before:.4f} before, {found.after:.4f} after ({found.worse:+.2%})")
        if found.worse > max_worse:
            raise WorseError(
                f"refused: on the reference the log-loss went from {found.before:.4f} to {found.after:.4f},"
                f" {found.worse:+.1%}, and {max_worse:+.1%} is allowed (--max-worse); nothing was written. More"
                " --replay or a smaller --rank forgets less"
            )
        about = _ABOUT.format(**told, worse=found.worse)
        setting = f"{found.fitted.epochs} epochs from {told['base']}, rank {how.rank}"
        return Taken(
            found.fitted, setting, {"pretrained": base.metrics.get("pretrained", False), "adapted": told}, about
        )

    return fitter


def _told(base: Base, old: Old, how: Adaptation, found: Adapted) -> dict[str, Any]:
    return {
        "base": base.metrics["model_version"],
        "rank": how.rank,
        "free": found.free,
        "replay": how.replay,
        "replayed": found.replayed,
        "reference": len(old.reference),
        "before": found.before,
        "after": found.after,
    }


def old_rows(old: TrainingSet, reference: TrainingSet | None, horizon: int) -> Old:
    """Returns rows to replay and rows to judge by: of `reference`, or of users of `old` that nothing is fitted on.

    Test rows of neither are looked at.

    Raises:
        ForestayError: there are too few.
    """
    replayed, held_out, _ = before_tests(old, horizon)
    return Old(replayed, held_out if reference is None else before_tests(reference, horizon).calibration)
