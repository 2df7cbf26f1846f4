"""Runs pytest, without the tests of training where there is no torch, and says so above the closing line.

`scripts/test` calls it in an environment that is set up: `python scripts/suite.py [--serving] [-- PYTEST ARGUMENTS]`.
The tests run on the plain-Python core, which coverage can see; the core's own beside them once more on the compiled
one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

MARKER: Final = "training"
#: Its modules import torch: without it they cannot even be collected.
FOLDER: Final = Path("tests", "training")
#: What the compiled core must pass as well.
CORE: Final = (*sorted(map(str, Path("tests", "unit").glob("test_core_*.py"))), "tests/property", "tests/replay")
NOTICE: Final = f"{FOLDER} and all else marked '{MARKER}': no torch here; scripts/test (make test) runs them"


class LeftOut:
    """A pytest plugin that leaves out the tests of training, and says so where it is read."""

    def pytest_report_header(self) -> str:
        """Says it before."""
        return f"LEFT OUT: {NOTICE}"

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leaves out the folder."""
        return True if collection_path == FOLDER.resolve() else None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leaves out tests elsewhere."""
        left = [item for item in items if item.get_closest_marker(MARKER)]
        if left:
            config.hook.pytest_deselected(items=left)
            items[:] = [item for item in items if not item.get_closest_marker(MARKER)]

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says it again after."""
        terminalreporter.section("LEFT OUT: every test of training", sep="!", red=True, bold=True)
        terminalreporter.line(NOTICE)


class CompiledRun:
    """The core's tests on the compiled core, if there is one: beside the rest, which mostly waits for brokers."""

    def __init__(self) -> None:
        """Starts it."""
        environment = {**os.environ, "FORESTAY_CORE": "compiled"}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - read when it has ended
        tried = subprocess.run(
            [sys.executable, "-c", "import forestay.core.event"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self._left_out = (tried.stderr.splitlines() or ["?"])[-1] if tried.returncode else ""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CORE]
        if not self._left_out:
            self._process = subprocess.Popen(  # noqa: S603
                command, env=environment, stdin=subprocess.DEVNULL, stdout=self._said, stderr=subprocess.STDOUT
            )

    def end(self) -> int:
        """Waits for it, prints what it said, and returns pytest's exit code."""
        if self._left_out:
            print(f"LEFT OUT: the tests on the compiled core: {self._left_out}")
            return 0
        code = self._process.wait()
        self._said.seek(0)
        print("== tests on the compiled core", self._said.read().decode(errors="replace"), sep="\n", flush=True)
        return code


def main(arguments: Sequence[str]) -> int:
    """Runs the suite; returns pytest's exit code."""
    parser = argparse.ArgumentParser(prog="suite.py", description=__doc__)
    parser.add_argument("--serving", action="store_true", help="leave out training: there is no torch")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    asked = parser.parse_args(arguments)
    packages = (
        ["forestay", "forestay_schemas"] if asked.serving else ["forestay", "forestay_schemas", "forestay_training"]
    )
    options = [*(f"--cov={package}" for package in packages), "--cov-report=term:skip-covered", "--durations=10"]
    # Who names tests wants these and no others.
    compiled = None if asked.pytest else CompiledRun()
    code = int(pytest.main([*options, *asked.pytest], plugins=[LeftOut()] if asked.serving else []))
    return (compiled.end() if compiled else 0) or code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
