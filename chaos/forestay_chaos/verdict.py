"""What an oracle says of a run."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

_MOST_FINDINGS: Final = 20


@dataclass
class Verdict:
    """Counts; of those named by `FORBIDDEN` each must be 0. `complete`: all that was sent was worked off."""

    events: int = 0
    repeats: int = 0
    not_sent: int = 0
    events_lost: int = 0
    events_doubled: int = 0
    totals_wrong: int = 0
    features_lost: int = 0
    features_made_up: int = 0
    features_repeated: int = 0
    states_wrong: int = 0
    ledger_wrong: int = 0
    decisions: int = 0
    decisions_lost: int = 0
    decisions_made_up: int = 0
    decisions_doubled: int = 0
    decisions_repeated: int = 0
    decisions_contradicting: int = 0
    decisions_contradicting_by_score: int = 0
    actions: int = 0
    actions_lost: int = 0
    actions_made_up: int = 0
    actions_contradicting: int = 0
    actions_repeated_same_id: int = 0
    actions_repeated_other_id: int = 0
    dead_letters: int = 0
    dead_letters_lost: int = 0
    dead_letters_made_up: int = 0
    dead_letters_altered: int = 0
    dead_letters_repeated: int = 0
    caps_overspent: int = 0
    budgets_overspent: int = 0
    budgets_wrong: int = 0
    budgets_refused: int = 0
    complete: bool = True
    findings: list[str] = field(default_factory=list)

    def find(self, name: str, text: str, count: int = 1) -> None:
        """Adds to the count `name`, and says what was found while there is room."""
        setattr(self, name, getattr(self, name) + count)
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(f"{name}: {text}")

    def must_be_zero(self) -> dict[str, int]:
        """Returns the counts that must all be 0."""
        return {name: getattr(self, name) for name in FORBIDDEN}

    @property
    def clean(self) -> bool:
        """Says whether all is well."""
        return self.complete and not any(self.must_be_zero().values())

    def as_json(self) -> dict[str, Any]:
        """Returns all of it as JSON has it."""
        return asdict(self)


#: A record may be written twice, byte for byte, and nothing else may happen.
FORBIDDEN: Final = (
    "events_lost",
    "events_doubled",
    "totals_wrong",
    "features_lost",
    "features_made_up",
    "states_wrong",
    "ledger_wrong",
    "decisions_lost",
    "decisions_made_up",
    "decisions_doubled",
    "decisions_contradicting",
    "decisions_contradicting_by_score",
    "actions_lost",
    "actions_made_up",
    "actions_contradicting",
    "actions_repeated_other_id",
    "dead_letters_lost",
    "dead_letters_made_up",
    "dead_letters_altered",
    "caps_overspent",
    "budgets_overspent",
    "budgets_wrong",
)
