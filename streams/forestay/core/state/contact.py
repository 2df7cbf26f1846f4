"""What was done to a user and what a model said of them: contacts and the last score."""

from typing import Final

from mypy_extensions import mypyc_attr

from forestay.core.survival import Survival

#: Contacts remembered a user for caps and cooldowns.
MAX_CONTACTS: Final = 32


@mypyc_attr(acyclic=True)
class Contact:
    """One action sent to the user: when (milliseconds), which offer, of which kind and on which channel.

    Kind and channel are empty in records from before they were kept. `marketing` is False for what no cap counts.
    """

    __slots__ = ("channel", "kind", "marketing", "offer_id", "ts")

    def __init__(self, ts: int, offer_id: str, channel: str = "", kind: str = "", marketing: bool = True) -> None:
        """Keeps all; an offer may leave the catalogue or change in it, and what was sent stays what it was."""
        self.ts = ts
        self.offer_id = offer_id
        self.channel = channel
        self.kind = kind
        self.marketing = marketing


@mypyc_attr(acyclic=True)
class Score:
    """The last churn probability a model gave, when (milliseconds), which version, and the curve if it told one."""

    __slots__ = ("probability", "survival", "ts", "version")

    def __init__(self, probability: float, ts: int, version: str, survival: Survival | None = None) -> None:
        """Keeps the four."""
        self.probability = probability
        self.ts = ts
        self.version = version
        self.survival = survival
