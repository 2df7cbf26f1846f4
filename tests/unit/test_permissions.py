"""The permissions the page lists are those the code asks for."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forestay.cli.main import app
from forestay.settings import TOPIC_ROLES, AdapterSettings, Settings
from forestay.shell.permissions import Grant, Part, commands, needed
from forestay.shell.topics import roles

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.mark.parametrize("part", Part)
def test_the_page_lists_exactly_the_commands_for_each_part(part: Part) -> None:
    section = PAGE.read_text().partition(f"\n### {part}\n")[2].partition("\n### ")[0]
    listed = re.findall(r"^    (kafka-acls.*)$", section, flags=re.MULTILINE)
    assert listed == commands(needed(part, Settings()), "NAME")


def test_every_topic_of_the_settings_has_its_permissions() -> None:
    assert tuple(roles(Settings().topics)) == TOPIC_ROLES


def test_one_command_gives_all_names_the_same_operations() -> None:
    grants = [Grant("topic", "a", "Read"), Grant("topic", "b", "Read"), Grant("group", "g", "Read")]
    given = [command.partition("User:me ")[2] for command in commands(grants, "me")]
    assert given == ["--operation Read --topic a --topic b", "--operation Read --group g"]


def test_a_name_with_blanks_is_one_word_of_the_shell_and_an_empty_one_is_refused() -> None:
    given = commands([Grant("topic", "a", "Read")], "CN=shop; rm -rf x, O=us")
    assert "--allow-principal 'User:CN=shop; rm -rf x, O=us' " in given[0]
    assert CliRunner().invoke(app, ["topics", "permissions", "--user", ""]).exit_code == 2


def test_the_adapter_needs_its_own_source_and_group() -> None:
    grants = needed(Part.ADAPTER, Settings(adapter=AdapterSettings(topic="shop")))
    assert Grant("topic", "shop", "Read") in grants
    assert Grant("group", "forestay-adapter", "Read") in grants


def test_the_command_prints_them_for_the_settings_in_force(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["topics", "permissions", "send", "--user", "shop", "--set", "topics.clickstream=clicks"]
    done = CliRunner().invoke(app, asked)
    assert done.stdout.strip().endswith("--add --allow-principal User:shop --operation Write --topic clicks")
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert told["permissions"] == [{"kind": "topic", "name": "clicks", "operation": "Write"}]
    assert CliRunner().invoke(app, ["topics", "permissions", "nobody"]).exit_code == 2
