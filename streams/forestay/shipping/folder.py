"""One model's folder in a repository: what lies where, and how it is changed without ever being half changed.

churn_transformer/config.pbtxt     what Triton serves: the versions, and the roll-out in its parameters
churn_transformer/history.jsonl    every change, one line each
churn_transformer/2/model.onnx     a version: the graph,
churn_transformer/2/config.pbtxt   its configuration as trained (Triton does not read it),
churn_transformer/2/metrics.json   its figures,
churn_transformer/2/model_card.md  its card,
churn_transformer/2/admission.json and how it was admitted
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from forestay.shipping.errors import ShippingError

GRAPH: Final = "model.onnx"
CONFIG: Final = "config.pbtxt"
METRICS: Final = "metrics.json"
CARD: Final = "model_card.md"
ADMISSION: Final = "admission.json"
HISTORY: Final = "history.jsonl"
#: What a candidate is made of.
PARTS: Final = (GRAPH, CONFIG, METRICS, CARD)
#: What `forestay adapt-model` goes on from; a version serves without.
WEIGHTS: Final = "network.pt"


class ModelFolder:
    """A model's folder."""

    def __init__(self, path: Path) -> None:
        """`path` is that of the model, in the repository.

        Raises:
            ShippingError: no model is there.
        """
        if not (path / CONFIG).is_file():
            raise ShippingError(
                f"{path} holds no {CONFIG}: name the repository with --repository, the model with --set triton.model="
            )
        self.path = path

    @property
    def name(self) -> str:
        """Returns the model's name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """Returns the file that Triton reads."""
        return self.path / CONFIG

    def versions(self) -> list[int]:
        """Returns the numbers of the versions that are there, rising."""
        return sorted(int(one.name) for one in self.path.iterdir() if one.is_dir() and one.name.isdecimal())

    def version(self, number: int) -> Path:
        """Returns a version's folder.

        Raises:
            ShippingError: there is none.
        """
        if number not in self.versions():
            there = ", ".join(map(str, self.versions())) or "none"
            raise ShippingError(f"{self.path} has no version {number}, but: {there}")
        return self.path / str(number)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps others from changing the folder meanwhile.

        Raises:
            ShippingError: another changes it now.
        """
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ShippingError(f"{self.path} is being changed by another `forestay model`: try again") from error
        else:
            yield
        finally:
            os.close(handle)

    def write(self, file: Path, content: bytes) -> None:
        """Writes a file below the folder so that it is the old or the new one at every moment, a crash included."""
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}-", delete=False) as part:
            part.write(content)
            part.flush()
            os.fsync(part.fileno())
        # A temporary file is its owner's alone; Triton may run as somebody else.
        Path(part.name).chmod(0o644)
        Path(part.name).replace(file)
        _sync(file.parent)

    def admit(self, candidate: Path, number: int, admission: dict[str, Any]) -> None:
        """Copies a candidate's files to version `number`, which appears in one step."""
        making = Path(tempfile.mkdtemp(dir=self.path, prefix=f".{number}-"))
        try:
            for name in (*PARTS, WEIGHTS) if (candidate / WEIGHTS).exists() else PARTS:
                shutil.copyfile(candidate / name, making / name)
            (making / ADMISSION).write_text(as_json(admission))
            for file in making.iterdir():
                _sync(file)
            making.chmod(0o755)
            making.rename(self.path / str(number))
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        _sync(self.path)

    def remove(self, number: int) -> None:
        """Removes a version that nothing serves; its folder is gone in one step."""
        going = Path(tempfile.mkdtemp(dir=self.path, prefix=f".{number}-"))
        (self.path / str(number)).rename(going / str(number))
        shutil.rmtree(going)

    def tell(self, change: dict[str, Any]) -> None:
        """Adds a line to the history."""
        with (self.path / HISTORY).open("a", encoding="utf-8") as file:
            file.write(json.dumps(change) + "\n")


def part(place: Path, name: str) -> Path:
    """Returns where a part of a version or candidate lies; a model of one version may have it beside the version."""
    own = place / name
    return own if own.is_file() or not place.name.isdecimal() else place.parent / name


def as_json(content: dict[str, Any]) -> str:
    """Returns the text of a file."""
    return json.dumps(content, indent=2) + "\n"


def read_json(file: Path) -> dict[str, Any]:
    """Returns a JSON object, empty where there is no such file.

    Raises:
        ShippingError: it holds something else.
    """
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ShippingError(f"{file} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ShippingError(f"{file} is not a JSON object")
    return content


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
