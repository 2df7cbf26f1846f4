"""`forestay repair`: what a machine is told."""

import json

import pytest
from typer.testing import CliRunner

from forestay.cli import repairing
from forestay.cli.main import app
from forestay.shell.recovery.checks import Damage, Kind

DAMAGE = Damage(Kind.DAMAGED_USER, 0, "state-0@1", "damaged", "copy it")


@pytest.mark.parametrize(("damages", "written"), [([], False), ([DAMAGE], True)])
def test_only_what_was_written_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, damages: list[Damage], written: bool
) -> None:
    monkeypatch.setattr(repairing, "look", lambda *_, **__: damages)
    done = CliRunner().invoke(app, ["repair", "--write", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["written"]) == (0, written)
