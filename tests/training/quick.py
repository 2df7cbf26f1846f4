"""What the tests of training share."""

from pathlib import Path
from typing import Any, NamedTuple

RECORDING = Path(__file__).parents[2] / "recordings" / "online-retail-ii.parquet"


class Trained(NamedTuple):
    """A finished run: the model's folder and its metrics."""

    folder: Path
    metrics: dict[str, Any]
