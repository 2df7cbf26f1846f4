"""Finding a Python that the embedded Triton can run its backend with.

Triton's Python backend runs models in a stub process that is linked to ``libpythonX.Y.so.1.0``. The wheel
nvidia-pytriton 0.7.0 brings stubs for 3.8 to 3.13; of the versions Forestay supports, 3.13 is out because the stub
hands empty tensors to numpy 2 without an error, and numpy 1 has no wheel for 3.13.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from forestay.embedded.errors import TritonEnvironmentError

STUB_VERSIONS = ("3.11", "3.12")
_PROBE_TIMEOUT = 20.0  # seconds; it takes 0.05 s

# Run by each candidate. Loading the library is the one sure test where it lies on the system's search path.
_PROBE = """
import ctypes, json, os, sys, sysconfig
version = "%d.%d" % sys.version_info[:2]
library = "libpython%s.so.1.0" % version
folders = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
folder = next((each for each in folders if os.path.exists(os.path.join(each, library))), "")
found = folder != ""
if not found:
    try:
        ctypes.CDLL(library)
        found = True
    except OSError:
        pass
print(json.dumps({"executable": os.path.realpath(sys.executable), "version": version, "full": sys.version,
                  "library": library, "found": found, "folder": folder}))
"""


@dataclass(frozen=True, slots=True)
class TritonPython:
    """A Python with a stub and a shared library.

    Attributes:
        executable: Its program, all links followed.
        version: ``3.11`` or ``3.12``.
        build: What ``sys.version`` says.
        library_folder: Folder of its shared library, or None where the system's loader finds it.
    """

    executable: Path
    version: str
    build: str
    library_folder: Path | None


def find_python() -> TritonPython:
    """Return this environment's own Python if it serves, else the first on PATH that does.

    Raises:
        TritonEnvironmentError: None does; the message says of each why not.
    """
    refused: list[str] = []
    for candidate in _candidates():
        found = _examine(candidate)
        if isinstance(found, TritonPython):
            return found
        refused.append(f"  {candidate}: {found}")
    raise TritonEnvironmentError(
        f"The embedded Triton needs Python {' or '.join(STUB_VERSIONS)} with its shared library. Found:\n"
        + "\n".join(refused)
        + "\nOn Debian and Ubuntu: apt-get install libpython3.11 (or libpython3.12). A Python built from source needs"
        " --enable-shared. Or use a Triton of your own (setting triton.url)."
    )


def _candidates() -> list[str]:
    own = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = [str(own), *(shutil.which(f"python{version}") for version in STUB_VERSIONS), shutil.which("python3")]
    return list(dict.fromkeys(name for name in found if name))


def _examine(candidate: str) -> TritonPython | str:
    """Return the candidate, or why it does not serve."""
    try:
        answer = subprocess.run(  # noqa: S603 (a Python of this machine, with a fixed script)
            [candidate, "-I", "-c", _PROBE], capture_output=True, check=True, timeout=_PROBE_TIMEOUT, text=True
        )
        told = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"it does not run ({error})"
    if told["version"] not in STUB_VERSIONS:
        return f"it is {told['version']}"
    if not told["found"]:
        return f"its shared library {told['library']} is missing"
    folder = Path(told["folder"]) if told["folder"] else None
    return TritonPython(Path(told["executable"]), told["version"], told["full"], folder)
