"""Which form the core takes: only a build of exactly these sources is ever used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from forestay import compiled


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of two modules, one in a folder of its own."""
    folder = tmp_path / "shop"
    (folder / "inner").mkdir(parents=True)
    for name in ("__init__.py", "till.py", "inner/__init__.py", "inner/price.py"):
        (folder / name).write_text(f'"""{name}."""\n')
    return folder


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    return tmp_path / "builds"


def built(builds: Path, digest: str) -> Path:
    """A folder as scripts/compile leaves it; what lies in it is no library, and is never loaded here."""
    folder = builds / digest
    folder.mkdir(parents=True)
    for name in ("shop.till", "shop.inner.price", "shop__mypyc"):
        (folder / f"{name}{compiled.SUFFIX}").touch()
    (folder / "made-by.txt").touch()
    return folder


def test_without_a_build_the_core_is_plain(package: Path, builds: Path) -> None:
    form, files = compiled.choose({}, builds, [package])
    assert (form.name, form.is_stale, files) == ("plain", False, {})
    assert "scripts/compile" in form.reason


def test_a_build_of_these_sources_is_taken(package: Path, builds: Path) -> None:
    folder = built(builds, compiled.digest(package))
    form, files = compiled.choose({}, builds, [package])
    assert form.name == "compiled"
    assert files == {
        name: folder / f"{name}{compiled.SUFFIX}" for name in ("shop.till", "shop.inner.price", "shop__mypyc")
    }


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_a_build_of_other_sources_is_not(package: Path, builds: Path, change: str) -> None:
    built(builds, compiled.digest(package))
    price = package / "inner" / "price.py"
    match change:
        case "edited":
            price.write_text("CENT = 1\n")
        case "added":
            (package / "bill.py").touch()
        case "removed":
            price.unlink()
        case "renamed":
            price.rename(price.with_name("prices.py"))
    form, files = compiled.choose({}, builds, [package])
    assert (form.name, form.is_stale, files) == ("plain", True, {})
    with pytest.raises(ImportError, match="other sources: run scripts/compile"):
        compiled.choose({"FORESTAY_CORE": "compiled"}, builds, [package])


def test_sources_that_change_back_have_their_build_again(package: Path, builds: Path) -> None:
    built(builds, compiled.digest(package))
    till = package / "till.py"
    before = till.read_bytes()
    till.write_bytes(before + b"\n")
    assert compiled.choose({}, builds, [package]).form.is_stale
    till.write_bytes(before)
    assert compiled.choose({}, builds, [package]).form.name == "compiled"


def test_bytecode_and_other_files_change_nothing(package: Path) -> None:
    before = compiled.digest(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "till.cpython-311.pyc").touch()
    (package / "py.typed").touch()
    assert compiled.digest(package) == before


def test_content_does_not_pass_from_file_to_file(tmp_path: Path) -> None:
    digests = set()
    for number, (first, second) in enumerate([("ab", "c"), ("a", "bc"), ("abc", "")]):
        folder = tmp_path / str(number) / "shop"
        folder.mkdir(parents=True)
        (folder / "a.py").write_text(first)
        (folder / "b.py").write_text(second)
        digests.add(compiled.digest(folder))
    assert len(digests) == 3


def test_the_variable_asks_for_plain(package: Path, builds: Path) -> None:
    built(builds, compiled.digest(package))
    form, files = compiled.choose({"FORESTAY_CORE": "plain"}, builds, [package])
    assert (form.name, form.reason, files) == ("plain", "FORESTAY_CORE=plain", {})


def test_asked_for_the_compiled_form_it_takes_no_other(package: Path, builds: Path) -> None:
    with pytest.raises(ImportError, match="FORESTAY_CORE=compiled, but it is not built: run scripts/compile"):
        compiled.choose({"FORESTAY_CORE": "compiled"}, builds, [package])


def test_another_value_is_an_error(package: Path, builds: Path) -> None:
    with pytest.raises(ImportError, match="'fast': set it to plain or compiled"):
        compiled.choose({"FORESTAY_CORE": "fast"}, builds, [package])


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["worker"]])
def test_every_command_tells_it_in_one_line(arguments: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "forestay", *arguments],
        env={**os.environ, "FORESTAY_CORE": "quick"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "forestay: FORESTAY_CORE is 'quick': set it to plain or compiled, or unset it\n"


def test_without_a_choice_no_module_of_the_core_is_imported() -> None:
    finder = compiled.Refusal("there is no build")
    for name in ("forestay.core", "forestay.core.event"):
        with pytest.raises(ImportError, match="there is no build"):
            finder.find_spec(name)
    finder.find_spec("forestay.corelike")
    finder.find_spec("forestay.settings")


def test_this_process_has_the_form_it_was_asked_for() -> None:
    assert compiled.form().name == os.environ["FORESTAY_CORE"]


def test_the_finder_knows_what_is_compiled_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / f"shop.till{compiled.SUFFIX}"
    finder = compiled.Finder({"shop.till": file})
    found = finder.find_spec("shop.till", ["/elsewhere"])
    assert found is not None
    assert found.origin == str(file)
    assert finder.find_spec("shop.inner.price", ["/elsewhere"]) is None
