"""The command and the card's verdict, without training anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from forestay_training.__main__ import app
from forestay_training.card import _verdict

pytestmark = pytest.mark.training


def test_help_teaches() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for word in ("--recording", "--out", "--seed", "--quick", "Examples", "docs/model.md"):
        assert word in result.output


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--recording", str(tmp_path / "none.parquet"), "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "none.parquet" in result.output.replace("\n", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("interval", "word"),
    [((0.01, 0.002, 0.02), "better than"), ((0.0, -0.01, 0.01), "level"), ((-0.01, -0.02, -0.001), "worse than")],
)
def test_the_card_claims_what_the_interval_allows(interval: tuple[float, float, float], word: str) -> None:
    assert word in _verdict(interval)
