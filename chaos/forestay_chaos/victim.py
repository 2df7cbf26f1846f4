"""A worker that is struck at a stage, or whose clock jumps: `python -m forestay_chaos.victim [OPTIONS] -- worker`.

What stands after `--` is the command of `forestay`. The worker is the product's own, but for what is asked.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from forestay.settings import load_settings
from forestay.shell.topics import roles
from forestay_chaos.stages import STAGES, hook

#: What the log says at the moment of the blow; the harness reads it.
MARK = "CHAOS"


def _strike_at(stage: str, passage: int, number: signal.Signals, armed_by: Path) -> None:
    """Lets the process send itself a signal at the n-th passage of a stage after the file is there."""
    left = passage
    lock = threading.Lock()

    def passed() -> None:
        nonlocal left
        with lock:
            if left <= 0 or not armed_by.exists():
                return
            left -= 1
            if left > 0:
                return
        # One write, unbuffered: SIGKILL leaves no time for more.
        os.write(2, f"{MARK} {stage} {number.name} {time.time():.6f}\n".encode())
        os.kill(os.getpid(), number)

    hook(STAGES[stage], roles(load_settings().topics), passed)


def _jump_after(seconds: float, by: float) -> None:
    """Moves the wall clock by so many seconds once so many have passed; the monotonic one goes on, as it does."""
    real, begin = time.time, time.monotonic() + seconds

    def jumped() -> float:
        return real() + (by if time.monotonic() >= begin else 0.0)

    time.time = jumped


def main(arguments: Sequence[str]) -> None:
    """Patches, then becomes the command."""
    parser = argparse.ArgumentParser(prog="python -m forestay_chaos.victim", description=__doc__)
    parser.add_argument("--at", choices=STAGES, help="the stage at which it is struck")
    parser.add_argument("--passage", type=int, default=1, help="which time it comes by there")
    parser.add_argument("--armed-by", type=Path, default=Path("/"), help="passages count once this file is there")
    parser.add_argument("--signal", default="SIGKILL", help="with what it is struck: SIGKILL, SIGTERM or SIGSTOP")
    parser.add_argument("--jump-after", type=float, help="seconds from the start until its wall clock jumps")
    parser.add_argument("--jump-by", type=float, default=0.0, help="seconds it jumps, back where negative")
    parser.add_argument("command", nargs="+", help="the command of forestay")
    asked = parser.parse_args(arguments)
    if asked.at:
        _strike_at(asked.at, asked.passage, signal.Signals[asked.signal], asked.armed_by)
    if asked.jump_after is not None:
        _jump_after(asked.jump_after, asked.jump_by)
    from forestay.cli.main import app  # noqa: PLC0415 - after the patches, as everything that is patched

    app(asked.command, prog_name="forestay")


if __name__ == "__main__":
    main(sys.argv[1:])
