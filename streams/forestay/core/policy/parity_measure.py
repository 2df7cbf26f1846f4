"""What prices of parity are to make alike."""

from enum import StrEnum


class Measure(StrEnum):
    """What is to be alike: how often a decision makes an offer, or what share of the basket offers cost."""

    SELECTION = "selection"
    DISCOUNT = "discount"
