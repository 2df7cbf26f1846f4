"""The wheel: what it puts into a user's site-packages, and that nothing of ours is missing from it."""

import subprocess
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "forestay": ROOT / "streams" / "forestay",
    "forestay_schemas": ROOT / "schemas" / "forestay_schemas",
    "forestay_training": ROOT / "training" / "forestay_training",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [find_uv_bin(), "build", "--wheel", "--quiet", "--out-dir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield archive


def metadata_folder(wheel: zipfile.ZipFile) -> str:
    return next(name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name)


def test_names_at_the_top_are_ours(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {*PACKAGES, metadata_folder(wheel)}


@pytest.mark.parametrize("package", PACKAGES)
def test_it_holds_every_file_of_the_packages(wheel: zipfile.ZipFile, package: str) -> None:
    source = PACKAGES[package]
    there = {
        f"{package}/{file.relative_to(source).as_posix()}"
        for file in source.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {name for name in wheel.namelist() if name.startswith(f"{package}/")} == there


def test_it_holds_what_is_read_at_run_time(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "forestay/catalogue.yaml" in names
    assert "forestay/embedded/triton_requirements.txt" in names
    assert any(name.startswith("forestay/demo/") and not name.endswith(".py") for name in names)
    assert any(name.startswith("forestay/embedded/triton_backend/") for name in names)


def test_it_declares_the_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    folder = metadata_folder(wheel)
    assert "forestay = forestay.cli.main:app" in wheel.read(f"{folder}/entry_points.txt").decode()
    metadata = message_from_string(wheel.read(f"{folder}/METADATA").decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {f"{folder}/licenses/LICENSE", f"{folder}/licenses/NOTICE"} <= set(wheel.namelist())


def test_serving_asks_for_no_training(wheel: zipfile.ZipFile) -> None:
    metadata = message_from_string(wheel.read(f"{metadata_folder(wheel)}/METADATA").decode())
    base = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert base
    assert not any(line.startswith(("torch", "transformers", "calfkit")) for line in base)
