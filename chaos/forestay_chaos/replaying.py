"""A run made again from its ledger and its topics, with no broker: the product's own check, beside the oracle's."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SECONDS: Final = 90.0
#: So much of what is said of a difference is kept (characters).
_SAID: Final = 2_000


def replayed(recording: Path, environment: Mapping[str, str]) -> str:
    """Returns nothing if all batches come out as they were, else how the first differs."""
    command = [sys.executable, "-m", "forestay", "rerun", str(recording), "--ledger"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done within {_SECONDS:g} s"
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-_SAID:].strip() or f"status {done.returncode}"
