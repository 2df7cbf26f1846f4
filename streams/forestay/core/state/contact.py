"""What was done to a user and what a model said of them: contacts and the last score."""

from typing import Final

from mypy_extensions import mypyc_attr

#: Contacts remembered a user for caps and cooldowns.
MAX_CONTACTS: Final = 32


@mypyc_attr(acyclic=True)
class Contact:
    """One action sent to the user: when (milliseconds) and which offer."""

    __slots__ = ("offer_id", "ts")

    def __init__(self, ts: int, offer_id: str) -> None:
        """Keeps both."""
        self.ts = ts
        self.offer_id = offer_id


@mypyc_attr(acyclic=True)
class Score:
    """The last churn probability a model gave, when (milliseconds) and which version."""

    __slots__ = ("probability", "ts", "version")

    def __init__(self, probability: float, ts: int, version: str) -> None:
        """Keeps the three."""
        self.probability = probability
        self.ts = ts
        self.version = version
