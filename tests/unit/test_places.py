"""Places to write to are looked at before the work."""

from pathlib import Path

import pytest

from forestay.cli.places import check_file, check_folder
from forestay.core.errors import ForestayError


def test_what_can_be_written_passes_and_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "a" / "b", Path("a/b"), Path()):
        check_folder("--out", folder)
    for file in (tmp_path / "page.html", Path("page.html")):
        check_file("--report", file)
    check_file("--out", Path("a/recipe.json"), parents=True)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ForestayError, match=f"--out {file}/a/b: {file} is no folder"):
        check_folder("--out", file / "a" / "b")
    with pytest.raises(ForestayError, match=f"--out {file}: {file} is no folder"):
        check_folder("--out", file)
    with pytest.raises(ForestayError, match=f"--report {tmp_path}: is a folder"):
        check_file("--report", tmp_path)
    with pytest.raises(ForestayError, match=f"there is no folder {tmp_path / 'none'}"):
        check_file("--report", tmp_path / "none" / "page.html")
    with pytest.raises(ForestayError, match="is no folder"):
        check_file("--out", file / "recipe.json", parents=True)
