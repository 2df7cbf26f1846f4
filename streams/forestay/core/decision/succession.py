"""Whether one catalogue may take another's place while users are on their way through it (docs/catalogue.md)."""

from forestay.core.budget.budget import Budget
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ConfigurationError
from forestay.core.experiments.settings import Experiment

#: What says which arm a user is in, and what the arm does.
_DEALS = ("layer", "salt", "room", "arms")


class Meanings:
    """What is counted under which id, as the newest catalogue that had it means it.

    An id that leaves keeps its meaning: a campaign's account stays, and so do outcomes of an experiment's users.
    """

    def __init__(self) -> None:
        """Knows no id."""
        self._budgets: dict[str, Budget] = {}
        self._experiments: dict[str, Experiment] = {}

    def take(self, catalogue: Catalogue) -> None:
        """Goes on with what `catalogue` means by its ids."""
        self._budgets |= {budget.id: budget for budget in catalogue.budgets}
        self._experiments |= {experiment.id: experiment for experiment in catalogue.experiments}

    def check(self, after: Catalogue) -> None:
        """Makes sure that what is counted under a name can be counted on under it in `after`.

        Raises:
            ConfigurationError: a budget would count something else, or an experiment's users would be dealt anew,
                under the same id; says which, and what to do.
        """
        budgets, experiments = self._budgets, self._experiments
        found = [_other_budget(budgets[one.id], one) for one in after.budgets if one.id in budgets]
        found += [_other_experiment(experiments[one.id], one) for one in after.experiments if one.id in experiments]
        told = [line for line in found if line]
        if told:
            raise ConfigurationError("\n".join(told))


def _other_budget(before: Budget, after: Budget) -> str:
    """Returns why a budget cannot go on, an empty text if it can: limits, hours and days may change."""
    for what, was, now in (
        ("unit", str(before.unit), str(after.unit)),
        ("period", str(before.period), str(after.period)),
        ("arms", ", ".join(sorted(before.arms)) or "none", ", ".join(sorted(after.arms)) or "none"),
    ):
        if was != now:
            return (
                f"budget {after.id}: `{what}` changes from {was} to {now}, and what was taken so far would count for"
                " nothing: give the changed budget another id"
            )
    return ""


def _other_experiment(before: Experiment, after: Experiment) -> str:
    """Returns why an experiment cannot go on, an empty text if it can: traffic, dates, audience, plan may change."""
    changed = [name for name in _DEALS if getattr(before, name) != getattr(after, name)]
    if not changed:
        return ""
    return (
        f"experiment {after.id}: `{changed[0]}` changes, and users would change arms within it: end it (`until`) and"
        " begin another with an id and a salt of its own"
    )
