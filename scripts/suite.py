"""Runs pytest, without the tests of training where there is no torch, and says so above the closing line.

`scripts/test` calls it in an environment that is set up: `python scripts/suite.py [--serving] [-- PYTEST ARGUMENTS]`.
The tests run on the plain-Python core, which coverage can see; the core's own then once more on the compiled one.
"""

import argparse
import os
import subprocess
import sys
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


def run_on_compiled() -> int:
    """Runs the core's tests on the compiled core, if there is one; returns pytest's exit code."""
    environment = {**os.environ, "FORESTAY_CORE": "compiled"}
    tried = subprocess.run(
        [sys.executable, "-c", "import forestay"], env=environment, capture_output=True, text=True, check=False
    )
    if tried.returncode:
        print(f"LEFT OUT: the tests on the compiled core: {(tried.stderr.splitlines() or ['?'])[-1]}")
        return 0
    print("== tests on the compiled core", flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *CORE], env=environment, check=False).returncode  # noqa: S603


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
    code = int(pytest.main([*options, *asked.pytest], plugins=[LeftOut()] if asked.serving else []))
    # Who names tests wants these and no others.
    return code or (0 if asked.pytest else run_on_compiled())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
