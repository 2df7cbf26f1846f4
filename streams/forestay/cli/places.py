"""Places to write to, looked at before the work: a path that cannot be written would cost all of it."""

import os
from pathlib import Path

from forestay.core.errors import ForestayError


def check_folder(flag: str, folder: Path) -> None:
    """Says if `folder`, which `flag` names, cannot be made or written to; nothing is made.

    Raises:
        ForestayError: it cannot.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise ForestayError(f"{flag} {folder}: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ForestayError(f"{flag} {folder}: nothing can be written in {there}")


def check_file(flag: str, file: Path, *, parents: bool = False) -> None:
    """Says if `file`, which `flag` names, cannot be written; with `parents` its folder will be made.

    Raises:
        ForestayError: it cannot.
    """
    if file.is_dir():
        raise ForestayError(f"{flag} {file}: is a folder, and should be a file")
    if not parents and not file.absolute().parent.exists():
        raise ForestayError(f"{flag} {file}: there is no folder {file.parent}")
    check_folder(flag, file.absolute().parent)
