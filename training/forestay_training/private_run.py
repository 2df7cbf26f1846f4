"""`forestay train --private`: the run that every candidate goes through, with a private fit in the middle."""

from pathlib import Path
from typing import Final

from forestay_training.evaluation.baselines import Trees
from forestay_training.evaluation.rows import Division
from forestay_training.fitting import Note
from forestay_training.private import Privacy, fit_privately
from forestay_training.run import Fitter, Taken, Wishes

_ABOUT: Final = """**Fitted under differential privacy.** What the weights tell of any one of the {users:,} users
fitted on, all their rows together, is bounded by epsilon {epsilon:.2f} at delta {delta:.2g} (Rényi accountant; users
drawn with probability {rate:.3f} in each of {steps} steps, noise {noise:.2f} times the clip). Not covered are the
users held out, who give the input its scales and the calibration, and the figures below."""


def privately(wishes: Wishes, privacy: Privacy) -> Fitter:
    """Returns what fits within the budget: no teacher, no pre-training, no epoch chosen."""

    def fitter(division: Division, _trees: Trees, _place: Path, note: Note) -> Taken:
        train, strangers = division.train.set, division.calibration.set
        fitted, spent = fit_privately(
            train, strangers, wishes.horizon, wishes.recipe, wishes.seed, privacy, note=note
        )
        about = _ABOUT.format(
            users=spent.users, epsilon=spent.epsilon, delta=spent.delta, rate=spent.sample_rate, steps=spent.steps,
            noise=spent.noise_multiplier,
        )  # fmt: skip
        setting = f"{fitted.epochs} epochs, private: epsilon {spent.epsilon:.2f}"
        return Taken(fitted, setting, {"pretrained": False, "private": spent._asdict()}, about)

    return fitter
