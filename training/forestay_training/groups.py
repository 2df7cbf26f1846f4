"""Groups of features that people understand: the model's reasons are told by them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forestay.core.feature_set import FEATURE_NAMES

#: What the Transformer sees in the steps, and in steps and features together.
STEPS: Final = "steps"
#: In this order; the first whose word a feature's name holds has it.
_WORDS: Final = {
    "recency": ("hours_since",),
    "returns": ("refund",),
    "cart": ("cart", "checkout", "shipping_info", "payment_info"),
    "service": ("contact_support", "review"),
    "rhythm": ("session", "silence"),
    "spend": ("spend", "basket"),
    "orders": ("purchase", "orders"),
    "variety": ("distinct",),
    "tenure": ("tenure", "events_total"),
    "browsing": ("page_view", "search", "view", "select", "wishlist", "login", "sign_up", "promotion"),
}
FEATURE_GROUPS: Final = tuple(_WORDS)
#: The names of the model's contributions, in their order.
GROUPS: Final = (*FEATURE_GROUPS, STEPS)


def group_of(feature: str) -> str:
    """Returns the group of a feature.

    Raises:
        LookupError: it has none: a new feature needs one.
    """
    for group, words in _WORDS.items():
        if any(word in feature for word in words):
            return group
    raise LookupError(f"the feature {feature} belongs to no group")


def group_numbers() -> NDArray[np.int64]:
    """Returns the number of each feature's group, (FEATURE_COUNT,)."""
    return np.array([FEATURE_GROUPS.index(group_of(name)) for name in FEATURE_NAMES], dtype=np.int64)
