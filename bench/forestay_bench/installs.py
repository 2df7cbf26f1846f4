"""What the peers need: virtual environments made by uv, jars by Maven; kept, and made anew when changed."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from forestay_bench.errors import PeerUnavailableError
from forestay_bench.paths import BENCH, CACHE, ROOT

_INSTALL_SECONDS: Final = 900
_LOG_TAIL: Final = 2_000


def python_of(name: str) -> Path:
    """Returns the Python of the environment that bench/python/requirements/NAME.txt describes.

    Raises:
        PeerUnavailableError: it cannot be made.
    """
    wanted = BENCH / "python" / "requirements" / f"{name}.txt"
    folder = CACHE / "environments" / f"{name}-{_digest(wanted)}"
    if not folder.is_dir():
        uv = _uv()
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        # Relocatable, as it is moved to its place when it is whole.
        _run([uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(unfinished)])
        _run([uv, "pip", "install", "--quiet", "--python", str(unfinished / "bin" / "python"), "-r", str(wanted)])
        unfinished.rename(folder)
    return folder / "bin" / "python"


def classpath_of(engine: str) -> str:
    """Returns the class path of the job in bench/java/ENGINE, compiled.

    Raises:
        PeerUnavailableError: a JDK or Maven is missing, or fails.
    """
    for program, package in (("javac", "openjdk-17-jdk-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            raise PeerUnavailableError(f"{program} is missing (on Debian: apt install {package})")
    source = BENCH / "java" / engine
    files = sorted([*(BENCH / "java" / "shared").glob("*.java"), *source.glob("*.java")])
    folder = CACHE / "java" / f"{engine}-{_digest(*files, source / 'pom.xml')}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        maven = ["mvn", "--quiet", "--batch-mode", "--file", str(source / "pom.xml")]
        _run([*maven, "dependency:copy-dependencies", f"-DoutputDirectory={unfinished / 'lib'}"])
        javac = ["javac", "-nowarn", "-d", str(unfinished / "classes"), "-cp", f"{unfinished / 'lib'}/*"]
        _run([*javac, *map(str, files)])
        unfinished.rename(folder)
    return f"{folder / 'classes'}:{folder / 'lib'}/*"


def _uv() -> str:
    for candidate in (str(ROOT / ".uv" / "bin" / "uv"), shutil.which("uv")):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise PeerUnavailableError("uv is missing (scripts/setup brings it)")


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise PeerUnavailableError(f"not done after {_INSTALL_SECONDS} s: {' '.join(command)}") from None
    if done.returncode != 0:
        raise PeerUnavailableError(
            f"{' '.join(command)} failed:\n{done.stdout[-_LOG_TAIL:]}{done.stderr[-_LOG_TAIL:]}"
        )
