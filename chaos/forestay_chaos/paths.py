"""Where the harness finds and keeps things."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MODELS: Final = ROOT / "model_repository"
#: Logs of runs: of those that failed, and with --keep of all. Git ignores it.
KEPT: Final = ROOT / ".forestay" / "chaos"
#: What processes of ours import: the harness itself, and what it shares with the tests.
IMPORTED: Final = (ROOT / "chaos", ROOT / "tests")
