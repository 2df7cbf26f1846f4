"""What holds the house together: links that lead somewhere, targets that explain themselves, one version."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TEXTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text.relative_to(ROOT)))
def test_links_lead_somewhere(text: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text.read_text())
    assert [link for link in links if not (text.parent / link).exists()] == []


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: decision.stem)
def test_decisions_say_context_decision_and_consequences(decision: Path) -> None:
    headings = re.findall(r"^## (.+)$", decision.read_text(), flags=re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences"]


def test_the_index_names_every_decision() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert [decision.name for decision in DECISIONS if f"({decision.name})" not in index] == []


def test_every_make_target_explains_itself() -> None:
    phony = re.findall(r"^\.PHONY: ([a-z-]+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    explained = re.findall(r"^([a-z-]+):.*## \w", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {"setup", "demo", "test", "test-serving", "lint", "model"} <= set(phony)
    assert explained == phony


@pytest.mark.parametrize("script", ["setup", "compile", "demo", "test", "lint", "types", "format"])
def test_scripts_stop_at_the_first_error(script: str) -> None:
    text = (ROOT / "scripts" / script).read_text()
    assert re.match(r"#!/(bin/sh|usr/bin/env bash)\n", text)
    assert re.search(r"^set -eu", text, flags=re.MULTILINE)


def test_the_changelog_has_this_version() -> None:
    released = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert PROJECT["version"] in released


def test_the_model_repository_is_small() -> None:
    files = [file for file in (ROOT / "model_repository").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 5 * 2**20


def test_every_dependency_is_bounded() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    listed = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values(), *groups.values())
    # What is no text is a group named by another.
    wanted = [line for line in listed if isinstance(line, str)]
    assert [line for line in wanted if "<" not in line and "==" not in line] == []
