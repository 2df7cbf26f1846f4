"""Servers in Java for tests: brought by Maven the first time, started on loopback, ended with the process that asked.

Needs Java 17 and, the first time, Maven.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

_MAVEN_SECONDS: Final = 600.0
#: Of a log or of what Maven said, as much as an error shows (characters).
LOG_TAIL: Final = 3_000
#: One garbage collector thread and the quick compiler alone: it starts in half the time on two busy cores.
_JVM: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
#: Starts a program that the kernel kills with its parent, should that end without a word.
_WITH_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class JavaUnavailableError(Exception):
    """Java or Maven is missing: the tests on a real server have to be left out."""


class JavaFailedError(Exception):
    """The server could be had, but did not start or stop as it should."""


def java(*arguments: str) -> list[str]:
    """Returns the command that runs Java for a test."""
    return ["java", *_JVM, *arguments]


def start_server(
    command: list[str], folder: Path, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a server in `folder`; what it says is added to `log`. Its environment is ours if none is given.

    Call it from the main thread: the kernel ends the server with the thread that started it.
    """
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid()), *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def brought(name: str, bring: Callable[[Path], Path]) -> Path:
    """Returns the cached folder `name`; the first time it is what `bring` makes in an empty folder, and returns.

    Raises:
        JavaUnavailableError: Java is missing, or the folder is not there yet and Maven is missing.
        JavaFailedError: Maven did not bring it.
    """
    if shutil.which("java") is None:
        raise JavaUnavailableError("Java is missing (17 or newer; on Debian: apt install openjdk-17-jre-headless)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forestay"
    found = cache / name
    if not found.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="unfinished-") as folder:
            made = bring(Path(folder))
            # Who else brought it meanwhile was first; theirs is the same.
            with suppress(OSError):
                made.rename(found)
    return found


def maven(what: str, folder: Path, *arguments: str) -> None:
    """Lets Maven bring `what`, in `folder`: a pom.xml where the tests were started is none of its business.

    Raises:
        JavaUnavailableError: there is no Maven.
        JavaFailedError: it failed.
    """
    if shutil.which("mvn") is None:
        raise JavaUnavailableError("Maven is missing (on Debian: apt install maven)")
    command = ["mvn", "--quiet", "--batch-mode", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_MAVEN_SECONDS, check=False)
    if done.returncode != 0:
        raise JavaFailedError(f"Maven did not bring {what}:\n{done.stdout[-LOG_TAIL:]}{done.stderr}")


_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Returns ports nobody listens on, and none that was returned before: its server may be about to start."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            port: int = listener.getsockname()[1]
            if port not in _given:
                _given.add(port)
                found.append(port)
    return found
