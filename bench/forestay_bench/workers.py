"""The processes of a run: started, watched from outside, ended."""

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from forestay_bench.peers import Launch
from forestay_bench.processes import cpu_seconds, peak_memory

_STOP_SECONDS: Final = 15.0
_LOG_TAIL: Final = 2_000
#: Plain Python, or compiled.
CORE: Final = "FORESTAY_CORE"


class Workers:
    """So many processes of one command, with what they have said so far."""

    def __init__(self, launch: Launch, count: int, log: Path) -> None:
        """Prepares; `with` starts and ends them. What they say goes to `log` (and log.1 and so on)."""
        self._launch = launch
        self._logs = [log.with_name(f"{log.name}.{number}") if number else log for number in range(count)]
        self._folder = log.parent
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for log in self._logs:
            with log.open("wb") as out:
                self._processes.append(
                    subprocess.Popen(  # noqa: S603
                        self._launch.command,
                        env=inherited() | self._launch.environment,
                        cwd=self._folder,
                        stdin=subprocess.DEVNULL,
                        stdout=out,
                        stderr=subprocess.STDOUT,
                    )
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for process in self._processes:
                process.terminate()
                stack.callback(_await_end, process)

    @property
    def alive(self) -> bool:
        """Says whether all still run."""
        return all(process.poll() is None for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """Returns their process ids."""
        return [process.pid for process in self._processes]

    @property
    def cpu(self) -> float:
        """Returns the seconds of CPU all have used."""
        return cpu_seconds(self.pids)

    @property
    def memory(self) -> float:
        """Returns their peak resident sizes, in MB."""
        return peak_memory(self.pids)

    def lines(self) -> list[str]:
        """Returns what the first has said."""
        return self._logs[0].read_text(errors="replace").splitlines()

    def all_said(self, text: str) -> bool:
        """Says whether `text` stands in the log of each."""
        return all(text in log.read_text(errors="replace") for log in self._logs)

    def last_words(self) -> str:
        """Returns the end of each log."""
        return "\n".join(log.read_text(errors="replace")[-_LOG_TAIL:] for log in self._logs)


def inherited() -> dict[str, str]:
    """Returns this process's environment without settings: those of whoever runs the bench are not the worker's.

    Which form of the core runs is theirs to choose.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("FORESTAY_") or name == CORE}


def _await_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
