"""`forestay uplift` on campaigns that were made up: the effects are known."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from support.campaigns import HEADER, write_campaign
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay_training.uplift.columns import read_table
from forestay_training.uplift.learners import LEARNERS

pytestmark = pytest.mark.training

COLUMNS = [
    "--treatment",
    "group",
    "--control",
    "none",
    "--outcome",
    "bought",
    "--leave-out",
    "spent",
    "--id",
    "person",
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_campaign(tmp_path_factory.mktemp("campaign") / "campaign.csv", 6_000)


def uplift(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["uplift", "--draws", "100", *COLUMNS, *map(str, args)])


def found(result: Result) -> dict[str, Any]:
    assert result.stdout, result.output
    judged: dict[str, Any] = json.loads(result.stdout)
    return judged


def test_help_teaches() -> None:
    result = CliRunner().invoke(app, ["uplift", "--help"])
    assert result.exit_code == 0
    for word in ("Qini", "riskiest", "--leave-out", "Examples", "docs/uplift.md"):
        assert word in result.output


@pytest.mark.parametrize("learner", LEARNERS)
def test_whom_the_mail_moves_is_found(campaign: Path, learner: str) -> None:
    result = uplift("--train", campaign, "--worth", "10", "--cost", "2", "--learner", learner, "--json")
    assert result.exit_code == 0, result.output
    judged = found(result)
    assert judged["checks"]["randomised"]
    assert judged["best_on_average"] == "mail"
    mail = judged["treatments"]["mail"]
    low, high = mail["effect"]["interval"]
    assert low < 0.3 * 32 / 65 < high
    assert mail["qini"]["interval"][0] > 0
    # Half are moved by .3: 10 * .3 - 2 for each of them, nothing for the rest. All would lose 2 on the rest.
    low, high = judged["policies"]["by effect"]["net"]["interval"]
    assert low < 1 * 32 / 65 < high
    low, high = judged["policies"]["all: mail"]["net"]["interval"]
    assert low < 3 * 32 / 65 - 2 < high
    assert judged["differences"]["all: mail"]["interval"][0] > 0
    assert "treating by effect beats treating all with mail" in judged["conclusions"]
    assert "treating by effect beats treating all with call" in judged["conclusions"]


def test_one_effect_for_all_is_no_evidence_for_targeting(tmp_path: Path) -> None:
    path = write_campaign(tmp_path / "same.csv", 3_000, moved=0.0)
    judged = found(uplift("--train", path, "--json"))
    assert "mail: no evidence that the predicted effects rank people better than chance" in judged["conclusions"]
    assert "no evidence that treating by effect beats treating all with mail" in judged["conclusions"]


def test_a_mail_that_was_not_sent_by_chance_is_refused(tmp_path: Path) -> None:
    path = write_campaign(tmp_path / "chosen.csv", 3_000, chance=False)
    result = uplift("--train", path, "--json")
    assert result.exit_code == 1
    judged = found(result)
    assert judged["checks"]["balance"]["mail"]["p"] < 0.001
    assert judged["checks"]["balance"]["mail"]["most_apart"] == "age"
    assert judged["conclusions"] == []
    assert "were not drawn by chance" in uplift("--train", path).output


def test_sizes_that_were_not_meant_are_refused_and_meant_ones_are_not(tmp_path: Path, campaign: Path) -> None:
    head, *rows = campaign.read_text().splitlines(keepends=True)
    path = tmp_path / "fewer.csv"
    path.write_text(head + "".join(row for number, row in enumerate(rows) if number % 2 or ",none," not in row))
    refused = uplift("--train", path, "--json")
    assert refused.exit_code == 1
    assert "sample ratio mismatch" in found(refused)["checks"]["objections"][0]
    assert uplift("--train", path, "--ratio", "mail=2", "--ratio", "call=2", "--json").exit_code == 0


def test_the_same_files_give_the_same_bytes_and_parquet_the_same_figures(tmp_path: Path, campaign: Path) -> None:
    first, again = (uplift("--train", campaign, "--json").stdout for _ in range(2))
    assert first == again
    path = tmp_path / "campaign.parquet"
    pa.parquet.write_table(read_table(campaign), path)
    assert json.loads(first)["policies"] == found(uplift("--train", path, "--json"))["policies"]


def test_a_test_file_judges_what_the_train_file_taught(tmp_path: Path, campaign: Path) -> None:
    path = write_campaign(tmp_path / "test.csv", 2_000, seed=2)
    page = tmp_path / "uplift.html"
    result = uplift("--train", campaign, "--test", path, "--value", "spent", "--cost", "1", "--report", page)
    assert result.exit_code == 0, result.output
    assert "treating by effect beats treating all with mail" in result.output
    assert "Net value" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--treatment", "colour"], 2, "no such column"),
        (["--control", "nothing"], 2, "not in column group"),
        (["--outcome", "age"], 1, "an outcome is 0 or 1"),
        (["--value", "city"], 1, "not numbers"),
        (["--cost", "letter=1"], 2, "the arms are"),
        (["--cost", "-1"], 2, "0 or more"),
        (["--features", "age,bought"], 2, "not known before the treatment"),
        (["--value", "spent", "--worth", "2"], 2, "one of them"),
    ],
)
def test_wrong_use_says_what_to_do(campaign: Path, flags: list[str], code: int, said: str) -> None:
    result = uplift("--train", campaign, *flags, "--json")
    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEADER, "holds no rows"),
        (HEADER + "1,none,0,0,30,Bern\n2,mail,1,10,40,Graz\n", "fewer than 100"),
        (HEADER + "1,none,,0,30,Bern\n2,mail,1,10,40,Graz\n", "have no value"),
        (HEADER + "1,none\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_campaign_fails_in_words(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    result = uplift("--train", path, "--json")
    assert result.exit_code == 1
    assert said in result.output


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = uplift("--train", tmp_path / "gone.csv")
    assert result.exit_code == 1
    assert f"{tmp_path / 'gone.csv'}: No such file" in result.output


def test_a_feature_that_the_mail_moved_is_found_out(campaign: Path) -> None:
    result = CliRunner().invoke(
        app, ["uplift", "--train", str(campaign), *COLUMNS[:6], "--id", "person", "--draws", "100"]
    )
    assert result.exit_code == 1
    assert "a feature was measured after the treatment" in result.output
