"""scripts/compile.py on a small package: what it builds is found, loaded, and says where it fails."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from forestay import compiled

ROOT = Path(__file__).parents[2]
TILL = """
from shop.inner.price import CENTS, Price

def total(prices: list[Price]) -> int:
    return sum(price.amount for price in prices) * CENTS
"""
PRICE = """
from typing import Final

CENTS: Final = 100

class Price:
    __slots__ = ("amount",)

    def __init__(self, amount: int) -> None:
        self.amount = amount
"""
LOOK = """
import sys, traceback
from pathlib import Path
from forestay.compiled import Finder, SUFFIX
files = {file.name.removesuffix(SUFFIX): file for file in Path(sys.argv[1]).glob("*" + SUFFIX)}
sys.meta_path.insert(0, Finder(files))
from shop.inner.price import Price
from shop import till
print(till.__file__)
print(till.total([Price(2), Price(3)]))
try:
    till.total([5])
except TypeError:
    print(traceback.format_exc())
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The module scripts/compile.py, which no package holds."""
    spec = importlib.util.spec_from_file_location("compile_script", ROOT / "scripts" / "compile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compiler(script: ModuleType) -> None:
    """A C compiler and Python's headers, or the test is skipped."""
    if missing := script.obstacle():
        pytest.skip(f"nothing can be compiled here: {missing}")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A source root with the package `shop`."""
    (tmp_path / "root" / "shop" / "inner").mkdir(parents=True)
    sources = {"__init__.py": "", "till.py": TILL, "inner/__init__.py": "", "inner/price.py": PRICE}
    for name, text in sources.items():
        (tmp_path / "root" / "shop" / name).write_text(text)
    return tmp_path / "root"


@pytest.mark.usefixtures("compiler")
def test_what_it_builds_is_found_and_runs(script: ModuleType, shop: Path, tmp_path: Path) -> None:
    target = tmp_path / "builds" / "one"
    script.build(["shop.inner.price", "shop.till"], [shop], target, group="shop")
    assert [folder.name for folder in target.parent.iterdir()] == ["one"]
    assert (target / f"shop.till{compiled.SUFFIX}").is_file()
    looked = subprocess.run(
        [sys.executable, "-c", LOOK, str(target)],
        env={"PYTHONPATH": str(shop)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert looked.returncode == 0, looked.stderr
    file, sum_, *trace = looked.stdout.splitlines()
    assert file.startswith(str(target))
    assert sum_ == "500"
    # The source's own line, to be read where no debugger goes.
    assert any('"shop/till.py", line 5, in total' in line for line in trace)


@pytest.mark.usefixtures("compiler")
def test_what_mypy_refuses_leaves_nothing(
    script: ModuleType, shop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (shop / "shop" / "till.py").write_text('def total() -> int:\n    return "five"\n')
    with pytest.raises(subprocess.CalledProcessError):
        script.build(["shop.till"], [shop], tmp_path / "builds" / "one", group="shop")
    assert "shop/till.py:2: error: Incompatible return value" in capfd.readouterr().err
    assert list((tmp_path / "builds").iterdir()) == []


def test_every_listed_module_is_one_of_the_core(script: ModuleType) -> None:
    modules = script.listed(ROOT / "pyproject.toml")
    assert modules
    for module in modules:
        assert module.startswith("forestay.core.")
        assert (ROOT / "streams" / module.replace(".", "/")).with_suffix(".py").is_file(), module


def test_without_a_compiler_it_says_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", "a-compiler-that-is-not-there -O2")
    monkeypatch.setattr(compiled, "BUILDS", tmp_path)
    assert script.main(["--possible"]) == script.IMPOSSIBLE
    said = capsys.readouterr().out
    assert said.startswith("compile: the plain-Python core is used: no C compiler (a-compiler-that-is-not-there)")
    assert said.count("\n") == 1


def test_without_a_compiler_a_build_of_these_sources_is_kept(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", "a-compiler-that-is-not-there")
    monkeypatch.setattr(compiled, "BUILDS", tmp_path)
    built = tmp_path / compiled.digest(*compiled.core_packages())
    built.mkdir()
    (built / script.MADE_BY).touch()
    assert script.main(["--possible"]) == 0
    assert script.main([]) == 0
    assert capsys.readouterr().out == "compile: nothing to do: the core is built from these sources\n"
    assert script.main(["--force"]) == script.IMPOSSIBLE
