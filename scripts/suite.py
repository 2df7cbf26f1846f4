"""Runs pytest, without the tests of training where there is no torch, and says so above the closing line.

`scripts/test` calls it in an environment that is set up: `python scripts/suite.py [--serving] [--coverage]
[-- PYTEST ARGUMENTS]`. Tests at the edges mostly wait for brokers and servers: the others run beside them, first on
the plain-Python core, which coverage can see, then the core's own once more on the compiled one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import IO, Final

import pytest

MARKER: Final = "training"
#: Its modules import torch: without it they cannot even be collected.
FOLDER: Final = Path("tests", "training")
#: What the compiled core must pass as well.
CORE: Final = (*sorted(map(str, Path("tests", "unit").glob("test_core_*.py"))), "tests/property", "tests/replay")
#: Tests that mostly wait for processes of their own, and the others, which take as long.
EDGES: Final = ("tests/integration",)
BESIDE: Final = ("tests/contract", "tests/unit", "tests/property", "tests/replay", str(FOLDER))
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


class Beside(Thread):
    """What runs beside the tests at the edges, one after the other; what it says is kept until it is asked for."""

    def __init__(self, options: Sequence[str], coverage_file: Path | None) -> None:
        """Starts it; `options` are the suite's own."""
        super().__init__(name="beside")
        self._options = options
        self._coverage_file = coverage_file
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - read when it has ended
        self._code = 1
        self.start()

    def run(self) -> None:
        """Runs the tests on the plain core, then those of the core on the compiled one, if there is one."""
        plain = run_tests(BESIDE, self._options, self._coverage_file, self._said)
        self._code = self._compiled() or plain

    def _compiled(self) -> int:
        environment = {**os.environ, "FORESTAY_CORE": "compiled"}
        tried = subprocess.run(
            [sys.executable, "-c", "import forestay.core.event"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode:
            why = (tried.stderr.splitlines() or ["?"])[-1]
            self._said.write(f"LEFT OUT: the tests on the compiled core: {why}\n".encode())
            return 0
        self._said.write(b"== tests on the compiled core\n")
        self._said.flush()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CORE]
        return subprocess.run(  # noqa: S603
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode

    def end(self) -> int:
        """Waits for it, prints what it said, and returns pytest's exit code."""
        self.join()
        self._said.seek(0)
        print("== beside them", self._said.read().decode(errors="replace"), sep="\n", flush=True)
        self._said.close()
        return self._code


def run_tests(
    folders: Sequence[str], options: Sequence[str], coverage_file: Path | None, said: IO[bytes] | None
) -> int:
    """Runs the tests in `folders` in a process of their own; returns pytest's exit code.

    With a `coverage_file`, what they cover is written to it, of the processes they start as well: twice the time.
    """
    packages = ["forestay", "forestay_schemas", *([] if "--serving" in options else ["forestay_training"])]
    covered = [f"--cov={package}" for package in packages] if coverage_file else []
    return subprocess.run(  # noqa: S603 - this file itself
        [sys.executable, __file__, *options, "--", *covered, "--cov-report=", "--durations=25", *folders],
        env={**os.environ, **({"COVERAGE_FILE": str(coverage_file)} if coverage_file else {})},
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=None if said is None else subprocess.STDOUT,
        check=False,
    ).returncode


def run_all(options: Sequence[str]) -> int:
    """Runs every test; returns pytest's exit code."""
    beside = Beside(options, None)
    code = run_tests(EDGES, options, None, None)
    return beside.end() or code


def run_covered(options: Sequence[str]) -> int:
    """Runs every test and reports what they covered; returns pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="forestay-coverage-") as name:
        # A folder each: processes that tests start leave their files beside.
        files = [Path(name, lane, "coverage") for lane in ("edges", "beside")]
        for file in files:
            file.parent.mkdir()
        beside = Beside(options, files[1])
        code = run_tests(EDGES, options, files[0], None)
        code = beside.end() or code
        coverage = [sys.executable, "-m", "coverage"]
        subprocess.run([*coverage, "combine", "-q", *map(str, files)], check=True)  # noqa: S603
        subprocess.run([*coverage, "report"], check=True)  # noqa: S603
    return code


def main(arguments: Sequence[str]) -> int:
    """Runs the suite; returns pytest's exit code."""
    parser = argparse.ArgumentParser(prog="suite.py", description=__doc__)
    parser.add_argument("--serving", action="store_true", help="leave out training: there is no torch")
    parser.add_argument("--coverage", action="store_true", help="say what is covered; it takes twice as long")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    asked = parser.parse_args(arguments)
    if asked.pytest:
        # Who names tests wants these and no others.
        return int(pytest.main(asked.pytest, plugins=[LeftOut()] if asked.serving else []))
    run = run_covered if asked.coverage else run_all
    return run(["--serving"] if asked.serving else [])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
