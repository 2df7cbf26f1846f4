"""The environment of the embedded Triton: made once, kept in the user's cache.

The server binary, its Python backend and ONNX Runtime need numpy below 2, so they have a virtual environment of
their own: 290 MB, from exact and hashed requirements, installed in some 5 s plus a download of about 100 MB.
"""

import asyncio
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from forestay.embedded.errors import EmbeddedError, TritonEnvironmentError
from forestay.embedded.process import ChildProcess, Command, describe_status
from forestay.embedded.triton_python import TritonPython, find_python

Progress = Callable[[str], None]

_REQUIREMENTS = "triton_requirements.txt"
_LAYOUT = "1"  # to be raised when what is laid in the environment changes
_ASK_LOCK_EVERY = 0.2  # seconds
_INSTALL_STOP_WITHIN = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class TritonEnvironment:
    """A finished environment.

    Attributes:
        root: The virtual environment.
        python: The Python it was made with.
    """

    root: Path
    python: TritonPython

    @property
    def site_packages(self) -> Path:
        """Where its packages lie."""
        return self.root / "lib" / f"python{self.python.version}" / "site-packages"

    @property
    def _triton(self) -> Path:
        return self.site_packages / "pytriton" / "tritonserver"

    @property
    def server(self) -> Path:
        """The server binary."""
        return self._triton / "bin" / "tritonserver"

    @property
    def python_backend(self) -> list[Path]:
        """The files that make up Triton's Python backend, with the stub for this Python."""
        backend = self._triton / "backends" / "python"
        stub = self._triton / "python_backend_stubs" / self.python.version / "triton_python_backend_stub"
        return [backend / "libtriton_python.so", backend / "triton_python_backend_utils.py", stub]

    def variables(self) -> dict[str, str]:
        """Return the environment variables the server runs with."""
        libraries = [str(self.site_packages / "nvidia_pytriton.libs")]
        if self.python.library_folder is not None:
            libraries.append(str(self.python.library_folder))
        return {
            "PATH": f"{self.root / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "LD_LIBRARY_PATH": ":".join(libraries),
            "PYTHONPATH": str(self.site_packages),
            "PYTHONDONTWRITEBYTECODE": "1",
            # ONNX Runtime is the CPU build here: with a GPU in sight Triton would place the model on it in vain.
            "CUDA_VISIBLE_DEVICES": "",
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
        }


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$XDG_CACHE_HOME/forestay``, or ``~/.cache/forestay``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "forestay"


async def prepare(progress: Progress, *, log: Path, cache: Path | None = None) -> TritonEnvironment:
    """Return the environment, making it first if it is not there.

    Two at once are safe: one makes it, the other waits. It appears under its name in one step when it is complete,
    so what an interrupted run leaves is never used, and is removed by the next one.

    Args:
        progress: Told in words what takes long.
        log: File that takes the installer's output; overwritten.
        cache: Folder to keep it in, or None for ``cache_folder()``.

    Raises:
        EmbeddedError: The extra ``embedded`` is not installed.
        TritonEnvironmentError: It cannot be made on this machine.
    """
    _require_platform()
    python = await asyncio.to_thread(find_python)
    requirements = resources.files("forestay.embedded").joinpath(_REQUIREMENTS).read_text("utf-8")
    root = (cache or cache_folder()) / f"triton-{_key(requirements, python)}"
    environment = TritonEnvironment(root, python)
    if root.is_dir():
        return environment
    root.parent.mkdir(parents=True, exist_ok=True)
    async with _locked(root.with_name(f"{root.name}.lock"), progress):
        if not root.is_dir():
            progress("Installing the Triton server (once; a download of about 100 MB, 290 MB on disk)")
            await _make(root, python, requirements, log)
    return environment


def _require_platform() -> None:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise TritonEnvironmentError(
            f"The embedded Triton runs on Linux on x86-64 or ARM64, not on {sys.platform} {platform.machine()}. "
            "Use a Triton of your own (setting triton.url)."
        )


def _key(requirements: str, python: TritonPython) -> str:
    parts = (_LAYOUT, requirements, str(python.executable), python.build, platform.machine())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@asynccontextmanager
async def _locked(path: Path, progress: Progress) -> AsyncIterator[None]:
    """Hold the lock on ``path``; the kernel frees it when this process ends, however it ends."""
    with path.open("wb") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress("Waiting for another process that installs the Triton server")
                    told = True
                await asyncio.sleep(_ASK_LOCK_EVERY)
        yield


async def _make(root: Path, python: TritonPython, requirements: str, log: Path) -> None:
    """Make the environment beside its place and move it there. The lock is held."""
    for left in root.parent.glob(f"{root.name}.*.part"):  # by a run that was interrupted, since the lock is ours
        await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
    making = Path(tempfile.mkdtemp(prefix=f"{root.name}.", suffix=".part", dir=root.parent))
    wanted = making / _REQUIREMENTS
    wanted.write_text(requirements, encoding="utf-8")
    venv = making / "venv"
    # Moved later, hence relocatable. No cwd of the user's: uv would take a project's settings from it.
    await _uv(["venv", "--relocatable", "--python", python.executable, venv], making, log)
    install: list[str | Path] = ["pip", "install", "--python", venv / "bin" / "python", "--requirements", wanted]
    exact = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--compile-bytecode"]
    await _uv([*install, *exact], making, log)
    venv.rename(root)
    await asyncio.to_thread(shutil.rmtree, making, ignore_errors=True)


async def _uv(arguments: list[str | Path], cwd: Path, log: Path) -> None:
    try:
        import uv  # noqa: PLC0415 (an extra: a worker beside a Triton of its own does without)
    except ModuleNotFoundError as error:
        raise EmbeddedError(
            "uv, which installs the embedded Triton, is missing. Install it with: pip install 'forestay[embedded]'"
        ) from error
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    env.pop("VIRTUAL_ENV", None)
    argv: list[str | Path] = [uv.find_uv_bin(), *arguments]
    name = f"uv {arguments[0]}"
    async with ChildProcess(Command(name, argv, log, env, cwd, stop_within=_INSTALL_STOP_WITHIN)) as child:
        status = await child.wait()
        if status != 0:
            raise TritonEnvironmentError(
                f"The embedded Triton could not be installed: {name} ended with status {describe_status(status)}. "
                f"It needs PyPI or an index of your own (UV_INDEX_URL). Its log, {log}, ends:\n{child.log_tail()}"
            )
