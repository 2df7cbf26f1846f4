"""The worker's Dockerfile parses, and says what the house asks of an image. No container engine has run it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "worker" / "Dockerfile"


class Instruction(NamedTuple):
    """One instruction, its lines joined."""

    name: str
    arguments: str


def instructions() -> list[Instruction]:
    lines = [line for line in FILE.read_text().splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [Instruction(name, arguments) for name, _, arguments in (line.partition(" ") for line in joined)]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction.name == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def last(stage: list[Instruction], name: str) -> str:
    return [instruction.arguments for instruction in stage if instruction.name == name][-1]


def test_hadolint_finds_nothing() -> None:
    command: list[str | Path] = [Path(sys.executable).with_name("hadolint"), "--format", "json", FILE]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert json.loads(checked.stdout) == []
    assert checked.returncode == 0, checked.stderr


def test_stages_stand_on_one_pinned_image() -> None:
    images = {last(stage, "FROM").split()[0] for stage in stages()}
    assert len(stages()) == 2
    assert len(images) == 1
    image = images.pop()
    version = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-\w+", image)
    assert version, image
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert required.startswith(f">={version[1]}")


def test_it_installs_the_lock_file_and_no_extra() -> None:
    syncs = [instruction.arguments for instruction in instructions() if "uv sync" in instruction.arguments]
    assert len(syncs) == 2
    for sync in syncs:
        assert {"--locked", "--no-dev"} <= set(sync.split())
        assert "--extra" not in sync
        assert "--all-extras" not in sync


def test_uv_is_pinned_to_what_this_repository_uses() -> None:
    found = re.search(r"uv==(\S+)", FILE.read_text())
    locked = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    assert found
    assert found[1] == next(package["version"] for package in locked if package["name"] == "uv")


def test_what_it_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for instruction in instructions()
        if instruction.name == "COPY" and "--from" not in instruction.arguments
        for source in instruction.arguments.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_it_copies_every_package_the_wheel_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = [instruction.arguments for instruction in instructions() if instruction.name == "COPY"]
    assert all(f"{package} {package}" in copied for package in packages)


def test_it_runs_without_root_and_ends_in_order() -> None:
    final = stages()[-1]
    user = last(final, "USER")
    assert user.partition(":")[0].isdigit()
    assert user.partition(":")[0] != "0"
    assert last(final, "STOPSIGNAL") == "SIGTERM"
    # The exec form: signals reach the worker, not a shell around it.
    assert json.loads(last(final, "ENTRYPOINT")) == ["forestay"]
    assert json.loads(last(final, "CMD")) == ["worker"]


def test_it_holds_no_secret() -> None:
    assert not re.search(r"(?i)password|secret|token|credential", FILE.read_text())
