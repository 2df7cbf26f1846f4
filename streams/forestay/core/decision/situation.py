"""What one decision is about: the user at one moment, as it was when the trigger happened."""

from typing import NamedTuple

from forestay.core.decision.answer import Embedding
from forestay.core.decision.model_input import ModelInput
from forestay.core.feature_set import FEATURE_NAMES
from forestay.core.hashing import bytes_identifier, identifier
from forestay.core.state.consent import Consent
from forestay.core.state.held import Held
from forestay_schemas.retention_action import Trigger

_INDEX = {name: index for index, name in enumerate(FEATURE_NAMES)}
#: The features the policy reads and the decision record carries.
POLICY_FEATURES = (
    "orders_total",
    "spend_total",
    "average_basket",
    "spend_180d",
    "tenure_hours",
    "hours_since_last_event",
    "session_gap_mean_hours",
    "sessions_total",
)


class Situation(NamedTuple):
    """A user to be scored and decided upon as of `now`; `clock` is when this became known (both milliseconds).

    `held` is the action that waited until now, at a release; `recent` the items the user met lately, as hashes, where
    the catalogue's items ask for them. `embedding` is what the model has made of the user, once it has answered.
    A snapshot nobody changes: what later events of the same batch do to the user must not reach a decision.
    """

    decision_id: str
    user_id: str
    now: int
    clock: int
    trigger: Trigger
    country: str | None
    input: ModelInput
    timezone: str | None = None
    consents: tuple[Consent, ...] = ()
    held: Held | None = None
    recent: tuple[int, ...] = ()
    embedding: Embedding | None = None

    def feature(self, name: str) -> float:
        """Returns a rolling feature by name, as the model sees it."""
        return float(self.input.features[_INDEX[name]])

    def policy_features(self) -> dict[str, float]:
        """Returns the features named in `POLICY_FEATURES`."""
        return {name: self.feature(name) for name in POLICY_FEATURES}

    def input_hash(self) -> str:
        """Returns 32 hexadecimal digits naming the model's whole input."""
        return bytes_identifier(*(array.tobytes() for array in self.input))

    def value_at_stake(self, margin: float, days: float) -> float:
        """Returns the margin expected from the user over `days` if they stay, in the shop's currency.

        The spend of the last 180 days (or of the user's tenure, at least 30 days) is carried forward.
        """
        observed = min(max(self.feature("tenure_hours") / 24, 30.0), 180.0)
        return margin * self.feature("spend_180d") / observed * days


def decision_id(user_id: str, now: int) -> str:
    """Returns the id of the decision on a user at moment `now` (milliseconds): a user has one a moment."""
    return identifier("decision", user_id, str(now))


def action_id_of(decision: str) -> str:
    """Returns the id of the action that the decision of this id asks for, if it asks for one."""
    return identifier("action", decision)
