"""Where the bench keeps what can be made again: below .forestay/, which git ignores."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
BENCH: Final = ROOT / "bench"
CACHE: Final = ROOT / ".forestay" / "bench"
