"""The folder a run writes to belongs to one run at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forestay.core.errors import ForestayError


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Makes `folder` and holds it for one run: another run would overwrite the settings that lead to this one.

    Raises:
        ForestayError: a run holds it already, or it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ForestayError(f"{folder} is a file: --out wants a folder")
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ForestayError(f"another run uses {folder}: stop it, or name another folder with --out") from error
        yield
