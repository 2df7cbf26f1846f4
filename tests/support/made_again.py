"""Everything a cluster of workers left on its topics: recorded by the command, and made again by the ledger."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.workers import environment

from forestay.settings import Settings

ROLES = ("clickstream", "clock", "identity", "budget", "decisions", "actions", "dead-letters", "ledger")


def made_again(settings: Settings, folder: Path) -> dict[str, Any]:
    """Records all topics into `folder` and runs them by their ledger; returns what the command says."""
    run(settings, "record", folder, *ROLES)
    code, said = run(settings, "rerun", folder, "--ledger", "--json")
    found: dict[str, Any] = json.loads(said)
    assert (code == 0) == found["same"], found
    return found


def run(settings: Settings, *arguments: object) -> tuple[int, str]:
    """Runs the command with the workers' settings; returns its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "forestay", *map(str, arguments)],
        env={**os.environ, **environment(settings)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, done.stdout
