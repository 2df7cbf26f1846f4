"""The core is pure (design D1, D4): no Faust, Kafka client or Triton, no clock, chance or environment of its own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import forestay.core
import forestay_schemas

CORE = Path(forestay.core.__file__).parent
SOURCES = sorted(CORE.glob("**/*.py")) + sorted(Path(forestay_schemas.__file__).parent.glob("**/*.py"))
#: Packages the core may import beside the standard library; anything else is the shell's. librt: types of mypyc's.
ALLOWED = {"forestay", "forestay_schemas", "librt", "msgspec", "mypy_extensions", "numpy", "pydantic"}
ALLOWED |= {"pydantic_core", "xxhash"}
#: Modules that read the clock, the environment or chance, wait, or reach outside.
IMPURE = {
    *("time", "random", "secrets", "uuid", "os", "subprocess", "socket", "asyncio", "threading", "logging"),
    *("tempfile", "shutil", "urllib", "http", "platform", "locale"),
}
#: What reads the wall clock or chance through modules that are allowed.
IMPURE_ATTRIBUTES = {"utcnow", "fromtimestamp", "random", "datetime.now", "datetime.today", "date.today"}
_LOADED = """
import importlib, pkgutil, sys
import forestay.core
for module in pkgutil.walk_packages(forestay.core.__path__, "forestay.core."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported(tree: ast.Module) -> set[str]:
    """Returns the packages a module imports, and the parts of this project in full."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_importing_the_core_loads_no_machinery() -> None:
    answer = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(answer.stdout.split())
    machinery = {"faust", "mode", "aiokafka", "kafka", "tritonclient", "grpc", "pyarrow", "typer", "yaml", "torch"}
    assert not loaded & machinery
    assert "forestay" in loaded


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_module_of_the_core_reads_clock_chance_or_environment(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = imported(tree)
    packages = {name.partition(".")[0] for name in names}
    assert packages <= ALLOWED | set(sys.stdlib_module_names)
    assert not packages & IMPURE
    assert all(name.startswith("forestay.core") for name in names if name.partition(".")[0] == "forestay")
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    read = {node.attr for node in attributes} | {ast.unparse(node) for node in attributes}
    assert not read & IMPURE_ATTRIBUTES
    called = {
        node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    # hash() of a text differs from process to process; id() from run to run.
    assert not called & {"open", "input", "eval", "exec", "hash", "id", "__import__"}


def test_the_scan_sees_the_whole_core() -> None:
    assert {"partition.py", "sessions.py", "policy.py", "click_event.py"} <= {path.name for path in SOURCES}
