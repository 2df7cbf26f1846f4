"""Fits under way in a file: written whole or not at all, read without running what is in it."""

from pathlib import Path
from typing import Any

import torch

from forestay.core.errors import ForestayError


class CheckpointError(ForestayError):
    """The file is no checkpoint."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Puts `state` (tensors, numbers, texts, and lists and dictionaries of them) in the place of what `path` held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    torch.save(state, half)
    half.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Returns what `save_checkpoint` put there, None if nothing did.

    Raises:
        CheckpointError: it is something else, or damaged.
    """
    if not path.exists():
        return None
    try:
        # Tensors and plain values alone: a file from elsewhere runs no code here.
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{path} is no checkpoint ({error}): remove it to begin anew") from error
    return state
