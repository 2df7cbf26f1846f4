"""The folder of backends the embedded Triton is started with."""

import hashlib
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from forestay.embedded.triton_environment import TritonEnvironment


def backend_folder(environment: TritonEnvironment) -> Path:
    """Return a folder with Triton's Python backend and our ``onnxruntime`` on top of it, laying it at first use.

    It is kept in the environment under a name made from our code, and appears there in one step, so that it is always
    whole and that of this very version. Files are copied: Triton refuses a library that a link leads out to.
    """
    code = resources.files("forestay.embedded").joinpath("triton_backend/onnxruntime/model.py").read_bytes()
    folder = environment.root / f"backends-{hashlib.sha256(code).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    making = Path(tempfile.mkdtemp(prefix="backends-", suffix=".part", dir=environment.root))
    try:
        python, ours = making / "python", making / "onnxruntime"
        python.mkdir()
        for file in environment.python_backend:
            shutil.copy2(file, python)
        ours.mkdir()
        (ours / "model.py").write_bytes(code)
        try:
            making.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, another process was first, with the same content
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder
