"""Discrete hazards: how likely a user who has not returned by one edge returns by the next.

The likelihood of rows whose return is known up to some edge only is that of the buckets before it (Singer and
Willett, 'It's about time', Journal of Educational Statistics 18, 1993).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def is_falling(left: NDArray[np.float32]) -> bool:
    """Says whether labels (N, H) are a silence that ends once: who is back by one edge is so by all later ones."""
    known = np.nan_to_num(left, nan=0.0)
    return bool((known[:, 1:] <= known[:, :-1]).all())


def seen_and_returned(left: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns two masks (N, J) for labels (N, J): buckets a row entered in silence, and the one it came back in."""
    known = ~np.isnan(left)
    silent = np.concatenate([np.ones_like(left[:, :1]), np.nan_to_num(left[:, :-1], nan=0.0)], axis=1)
    seen = (known & (silent == 1)).astype(np.float32)
    returned = seen * np.nan_to_num(1 - left, nan=0.0)
    return seen, returned.astype(np.float32)


def hazard_loss(hazards: Tensor, seen: Tensor, returned: Tensor) -> Tensor:
    """Returns the mean negative log-likelihood a row, of hazard logits (B, J) and the masks of their rows."""
    bits = nn.functional.binary_cross_entropy_with_logits(hazards, returned, reduction="none")
    return (bits * seen).sum() / max(len(hazards), 1)


def log_survival(hazards: Tensor) -> Tensor:
    """Returns log P(silent up to each edge), (B, J), falling in J."""
    return torch.cumsum(nn.functional.logsigmoid(-hazards), dim=1)
