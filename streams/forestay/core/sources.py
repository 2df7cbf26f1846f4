"""What a partition reads."""

from typing import NamedTuple


class Sources(NamedTuple):
    """The names of the topics a partition reads."""

    clickstream: str
    clock: str
    identity: str
    feedback: str
    budget: str
