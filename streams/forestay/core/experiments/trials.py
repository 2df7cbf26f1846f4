"""A decision under experiment: made as the user's arm says, with what every other arm would have done beside it.

The record of the decision is the exposure: it names the arm, and the offer under each arm (counterfactual logging).
Who would have been treated alike in all arms can be left out of the read-out, in all arms by the same rule.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.guardrails import in_holdout
from forestay.core.decision.situation import Situation
from forestay.core.experiments.assignment import arms_of
from forestay.core.experiments.changes import altered, taken_out
from forestay.core.experiments.settings import Arm, Experiment
from forestay.core.units import to_datetime
from forestay_schemas.decision import Decision, Trial
from forestay_schemas.retention_action import Reason

#: Makes the decision in question under a catalogue, for a user in these arms; changes nothing.
Decide = Callable[[Catalogue, Collection[str]], Decision]
#: The arm in each experiment, by the experiment's id.
Arms = Mapping[str, Arm]


class Trials:
    """The experiments of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Takes the catalogue everybody has who is in no experiment."""
        self._catalogue = catalogue
        self._altered: dict[tuple[str, ...], Catalogue] = {}

    def decide(self, situation: Situation, probability: float, decide: Decide) -> Decision:
        """Returns the decision of the user's arms. `decide` is called once for each arm of each experiment in force.

        `probability` is that of leaving, which may decide upon who is asked.
        """
        if not self._catalogue.experiments:
            return decide(self._catalogue, ())
        chosen = self._in_force(situation, probability)
        if not chosen:
            return decide(self._catalogue, ())
        arms = {experiment.id: arm for experiment, arm in chosen}
        decision = decide(self._under(arms), _ids(arms))
        trials = tuple(
            Trial(experiment=experiment.id, arm=arm.id, would=self._would(experiment, arms, decision, decide))
            for experiment, arm in chosen
        )
        removed = taken_out(self._catalogue, self._under(arms))
        return decision.model_copy(
            update={
                "experiments": trials,
                "suppressed": [*decision.suppressed, *removed],
                "reasons": [*decision.reasons, _reason(trials)],
            }
        )

    def _in_force(self, situation: Situation, probability: float) -> list[tuple[Experiment, Arm]]:
        """Returns the user's arms; none for the holdout, which is carved out of all users first."""
        if in_holdout(situation.user_id, self._catalogue):
            return []
        now = to_datetime(situation.now)
        asking = [
            one
            for one in self._catalogue.experiments
            if one.start <= now < one.until and _meant(one, situation, probability)
        ]
        return arms_of(asking, situation.user_id)

    def _would(self, experiment: Experiment, arms: Arms, decision: Decision, decide: Decide) -> dict[str, str | None]:
        """Returns the offer under each arm of an experiment, the user's arms in all others as they are."""
        would: dict[str, str | None] = {}
        for arm in experiment.arms:
            if arm.id == arms[experiment.id].id:
                would[arm.id] = decision.offer_id
            else:
                others = {**arms, experiment.id: arm}
                shop = self._under(others)
                would[arm.id] = decide(shop, _ids(others)).offer_id if shop.offers else None
        return would

    def _under(self, arms: Arms) -> Catalogue:
        """Returns the catalogue as some arms change it, made once."""
        key = tuple(f"{name}/{arm.id}" for name, arm in arms.items())
        if key not in self._altered:
            self._altered[key] = altered(self._catalogue, [arm.change for arm in arms.values()])
        return self._altered[key]


def _ids(arms: Arms) -> list[str]:
    return [arm.id for arm in arms.values()]


def _meant(experiment: Experiment, situation: Situation, probability: float) -> bool:
    whom = experiment.audience
    return (
        situation.trigger.kind in whom.triggers
        and probability >= whom.min_probability
        and (whom.countries is None or situation.country in whom.countries)
    )


def _reason(trials: Sequence[Trial]) -> Reason:
    named = ", ".join(f"arm {trial.arm} of {trial.experiment}" for trial in trials)
    return Reason(code="experiment", text=f"decided under {named}")
