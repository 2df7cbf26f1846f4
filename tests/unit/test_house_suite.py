"""What scripts/test leaves out where there is no torch, and that it says so."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest_plugins = ("pytester",)

INI = "[pytest]\nmarkers = training\nasyncio_default_fixture_loop_scope = function\n"


@pytest.fixture(scope="module")
def suite() -> ModuleType:
    """The module scripts/suite.py, which no package holds."""
    spec = importlib.util.spec_from_file_location("suite", Path(__file__).parents[2] / "scripts" / "suite.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tests_of_training_are_left_out_aloud(pytester: pytest.Pytester, suite: ModuleType) -> None:
    pytester.makeini(INI)
    folder = pytester.mkdir("tests")
    (folder / "training").mkdir()
    (folder / "training" / "test_network.py").write_text("import a_torch_that_is_not_there")
    (folder / "test_more.py").write_text(
        "import pytest\n@pytest.mark.training\ndef test_card(): assert False\ndef test_else(): pass\n"
    )
    result = pytester.inline_run("tests", plugins=[suite.LeftOut()])
    result.assertoutcome(passed=1)


def test_it_is_said_above_the_closing_line(
    pytester: pytest.Pytester, suite: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    pytester.makeini(INI)
    pytester.makepyfile("def test_else(): pass")
    pytester.inline_run(plugins=[suite.LeftOut()])
    *_, before, reason, closing = [line for line in capsys.readouterr().out.splitlines() if line]
    assert "LEFT OUT: every test of training" in before
    assert reason == suite.NOTICE
    assert "1 passed" in closing
