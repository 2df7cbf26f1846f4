"""What a scorer has seen of the versions: counts, and how far the shadow is from who answers."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from forestay.core.decision.catalogue import Catalogue
from forestay.shell.scoring.differences import Differences


def thresholds(catalogue: Catalogue) -> tuple[float, ...]:
    """Returns the probabilities at which an offer begins to be made; one half where no offer names one."""
    named = {offer.eligibility.min_probability for offer in catalogue.offers} - {0.0}
    return tuple(sorted(named)) or (0.5,)


class ScoringReport:
    """Counts over a worker's life; read by the log, the web port and metrics."""

    def __init__(self, thresholds: Sequence[float] = (0.5,)) -> None:
        """`thresholds`: probabilities at which something else is decided."""
        self._thresholds = tuple(thresholds)
        #: Users answered, by version (`model_version`).
        self.answered: Counter[str] = Counter()
        #: Users of the canary's share whom the current version had to answer, since the canary did not.
        self.canary_failed = 0
        #: Users whom the shadow was not asked about, since it was still busy, and whom it gave no answer on.
        self.shadow_dropped = 0
        self.shadow_failed = 0
        #: By the versions that answered and that scored along.
        self.differences: dict[tuple[str, str], Differences] = {}

    def compare(self, answering: str, along: str) -> Differences:
        """Returns the differences of two versions, to be added to."""
        found = self.differences.get((answering, along))
        if found is None:
            found = self.differences[answering, along] = Differences(self._thresholds)
        return found

    def told(self) -> dict[str, Any]:
        """Returns it for machines."""
        return {
            "answered": dict(self.answered),
            "canary_failed": self.canary_failed,
            "shadow_dropped": self.shadow_dropped,
            "shadow_failed": self.shadow_failed,
            "differences": [
                {"answering": answering, "shadow": along} | found.told()
                for (answering, along), found in self.differences.items()
            ],
        }
