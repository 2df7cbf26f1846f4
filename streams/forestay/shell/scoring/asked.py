"""What a scorer is asked about."""

from typing import NamedTuple, Protocol

from forestay.core.decision.model_input import ModelInput


class Asked(Protocol):
    """A user to be scored; a `Situation` is one."""

    @property
    def user_id(self) -> str:
        """Whom a canary's share is drawn by."""

    @property
    def input(self) -> ModelInput:
        """What the model is given."""


class Question(NamedTuple):
    """A user to be scored, where there is no situation."""

    user_id: str
    input: ModelInput
