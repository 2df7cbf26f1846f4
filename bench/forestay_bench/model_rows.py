"""What the model is asked in `scripts/bench model`: real users, in batches, as a worker cuts them or whole."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from forestay.core.decision.length_buckets import by_length, trimmed
from forestay.core.decision.model_input import ModelInput
from forestay.dataset.tables import SHAPES
from forestay_bench.errors import BenchError
from forestay_bench.paths import CACHE, ROOT

#: The recording's users on the day of the published test: 2,669 with an order in the 150 days before it.
_CUTOFF: Final = "2010-10-01"
_RECORDING: Final = ROOT / "recordings" / "online-retail-ii.parquet"
#: Users come to a worker in no order that has to do with their length.
_SEED: Final = 4_600

Arrays = dict[str, NDArray[Any]]
#: The requests that one batch is sent in.
Cut = Callable[[ModelInput], list[ModelInput]]


@dataclass(frozen=True)
class Batch:
    """So many users, and the requests they are asked about in."""

    users: int
    requests: tuple[Arrays, ...]


def whole(batch: ModelInput) -> list[ModelInput]:
    """Sends 64 steps a user, padding and all."""
    return [batch]


def cut(batch: ModelInput) -> list[ModelInput]:
    """Sends as many steps as the longest user's bucket."""
    return [trimmed(batch)]


def apart(batch: ModelInput) -> list[ModelInput]:
    """Sends the short without the long, where that is worth a request."""
    return [part.inputs for part in by_length(batch)]


WHOLE: Final = "whole"
CUTS: Final[Mapping[str, Cut]] = {WHOLE: whole, "trimmed": cut, "by length": apart}


def rows(folder: Path | None) -> ModelInput:
    """Returns the users of a training set (`forestay dataset`), by default one made here of the shipped recording.

    Raises:
        BenchError: there is none there, or it cannot be made.
    """
    try:
        table = pq.read_table((folder or _made()) / "rows", columns=list(SHAPES))
    except OSError as error:
        raise BenchError(f"{folder} is no training set of `forestay dataset`: {error}") from error
    order = np.random.default_rng(_SEED).permutation(table.num_rows)
    step_tokens, step_numbers, features = (
        table[name].combine_chunks().flatten().to_numpy().reshape(-1, *shape)[order] for name, shape in SHAPES.items()
    )
    return ModelInput(step_tokens, step_numbers, features)


def batches(users: ModelInput, size: int, how: Cut) -> list[Batch]:
    """Returns all users in batches of `size`, the last few left out where they fill none."""
    found = []
    for start in range(0, len(users.features) - size + 1, size):
        own = slice(start, start + size)
        parts = how(ModelInput(users.step_tokens[own], users.step_numbers[own], users.features[own]))
        # Views are laid out here: both sides are given arrays that are ready to be sent.
        requests = ({name: np.ascontiguousarray(one) for name, one in part._asdict().items()} for part in parts)
        found.append(Batch(size, tuple(requests)))
    if not found:
        raise BenchError(f"{len(users.features)} users are fewer than one batch of {size}")
    return found


def _made() -> Path:
    folder = CACHE / "model-rows"
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    forestay = Path(sys.executable).with_name("forestay")
    flags = ["--cutoff", _CUTOFF, "--test-from", _CUTOFF, "--horizon", "60d", "--out", str(folder)]
    command = [str(forestay), "dataset", str(_RECORDING), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise BenchError(f"forestay dataset failed:\n{done.stderr[-2_000:]}")
    return folder
