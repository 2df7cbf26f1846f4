"""Fairness: rates as plain counting gives them, a gate that opens and closes, reasons that stand in the report."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.builders import catalogue, offer
from support.decision_logs import SHOP, decisions, outcomes, write_lines
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.policy import cost
from forestay.core.errors import UsageError
from forestay_schemas.decision import Decision
from forestay_training.fairness.judging import Rule, judge
from forestay_training.fairness.treatment import Earned, Treatment
from forestay_training.offpolicy.log import Vector

pytestmark = pytest.mark.training

EFFECTS = {None: 0.0, "small": -1.0, "large": 2.0}
USERS = 600


@pytest.fixture(scope="module")
def made() -> list[Decision]:
    return decisions(USERS)


@pytest.fixture(scope="module")
def log(made: list[Decision], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("log") / "log.jsonl", made, outcomes(made, EFFECTS))


def write_groups(path: Path, group_of: Callable[[int], str]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user_id", "region"])
        rows.writerows([f"u{user}", group_of(user)] for user in range(USERS))
    return path


def write_shop(path: Path, content: Catalogue) -> Path:
    path.write_text(yaml.safe_dump(content.model_dump(mode="json")))
    return path


def fair(tmp_path: Path, *args: str | Path) -> Result:
    shop = write_shop(tmp_path / "shop.yaml", SHOP)
    return CliRunner().invoke(app, ["--set", f"catalogue={shop}", "fair", "--draws", "300", *map(str, args)])


def found(result: Result) -> dict[str, Any]:
    judged: dict[str, Any] = json.loads(result.stdout)
    return judged


def rich(made: list[Decision]) -> set[str]:
    """Returns the users who spend most: every offer is worth its cost for them."""
    spend: dict[str, float] = {}
    for one in made:
        spend[one.user_id] = max(spend.get(one.user_id, 0.0), one.features["spend_180d"])
    return set(sorted(spend, key=lambda user: -spend[user])[: USERS // 2])


def test_rates_are_those_of_plain_counting(log: Path, made: list[Decision], tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "g.csv", lambda user: "north" if user % 3 else "south")
    judged = found(fair(tmp_path, "--log", log, "--groups", groups, "--json"))["groups"]
    for name, one in judged.items():
        own = [each for each in made if ("north" if int(each.user_id[1:]) % 3 else "south") == name]
        chances = [(c.propensity, SHOP.offer(c.offer_id), each.features["average_basket"])
                   for each in own for c in each.candidates if c.offer_id]  # fmt: skip
        selected = sum(chance for chance, _offer, _basket in chances)
        spent = sum(chance * cost(made_offer, basket) for chance, made_offer, basket in chances if made_offer)
        assert one["users"] == len({each.user_id for each in own})
        assert one["selected"]["value"] == pytest.approx(selected / len(own))
        assert one["cost_a_decision"]["value"] == pytest.approx(spent / len(own))


def test_groups_drawn_by_lot_are_equal_and_pass(log: Path, tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "g.csv", lambda user: f"lot {user % 2}")
    result = fair(tmp_path, "--log", log, "--groups", groups)
    assert (result.exit_code, "gate passed" in result.stdout) == (0, True)


def test_a_group_that_gets_less_closes_the_gate_unless_it_may(
    log: Path, made: list[Decision], tmp_path: Path
) -> None:
    spenders = rich(made)
    groups = write_groups(tmp_path / "g.csv", lambda user: "rich" if f"u{user}" in spenders else "poor")
    result = fair(tmp_path, "--log", log, "--groups", groups, "--json")
    judged = found(result)
    assert (result.exit_code, judged["passed"]) == (1, False)
    assert {one["verdict"] for one in judged["groups"].values()} == {"unequal"}
    # What offers earn is known to rise with spend.
    assert (
        judged["groups"]["rich"]["uplift_a_decision"]["value"]
        > judged["groups"]["poor"]["uplift_a_decision"]["value"]
    )
    reasons = ["--allow", "rich=bought more", "--allow", "poor=bought less"]
    result = fair(tmp_path, "--log", log, "--groups", groups, "--json", *reasons)
    assert (result.exit_code, found(result)["groups"]["poor"]["allowed"]) == (0, "bought less")


def test_a_candidate_is_judged_before_it_ships(log: Path, made: list[Decision], tmp_path: Path) -> None:
    spenders = rich(made)
    groups = write_groups(tmp_path / "g.csv", lambda user: "rich" if f"u{user}" in spenders else "poor")
    same = catalogue(offer("small", effect=1.0), policy={"exploration": 0}, holdout=0.05)
    everyone = write_shop(tmp_path / "everyone.yaml", same)
    result = fair(tmp_path, "--log", log, "--groups", groups, "--candidate", everyone, "--json")
    judged = found(result)
    assert (result.exit_code, judged["candidate"]) == (0, str(everyone))
    assert judged["groups"]["rich"]["selected_beside_others"]["value"] == pytest.approx(1.0, abs=0.15)


def test_uplift_of_offers_that_the_log_never_tried_is_said_to_be_a_guess(log: Path, tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "g.csv", lambda user: f"lot {user % 2}")
    new = catalogue(offer("new", effect=1.0), policy={"exploration": 0}, holdout=0.05)
    page = tmp_path / "fair.html"
    flags = ("--log", log, "--groups", groups, "--candidate", write_shop(tmp_path / "new.yaml", new))
    (*_rest, doubt) = found(fair(tmp_path, *flags, "--json", "--report", page))["uplift_doubts"]
    assert "had no chance in the log (new " in doubt
    assert "Not to be relied on" in page.read_text()
    assert "not to be relied on" in fair(tmp_path, *flags).output
    assert found(fair(tmp_path, "--log", log, "--groups", groups, "--json"))["uplift_doubts"] == []


def test_few_users_are_not_judged_and_tiers_are_the_groups_by_default(log: Path, tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "g.csv", lambda user: "few" if user < 20 else "many")
    judged = found(fair(tmp_path, "--log", log, "--groups", groups, "--json"))
    assert judged["groups"]["few"]["verdict"] == "too_few"
    result = fair(tmp_path, "--log", log)
    assert (result.exit_code, "no tiers" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--allow", "rich"], "GROUP=REASON"),
        (["--allow", "nobody=why"], "there are the groups"),
        (["--parity", "discount"], "--parity says what --price prices"),
    ],
)
def test_wrong_use_is_said(log: Path, tmp_path: Path, flags: list[str], said: str) -> None:
    groups = write_groups(tmp_path / "g.csv", lambda user: f"lot {user % 2}")
    result = fair(tmp_path, "--log", log, "--groups", groups, *flags)
    assert (result.exit_code, said in result.output) == (2, True)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["x1,north", "x2,south"], "tells the group of no user of the log"),
        (["u1,north", "u2,south", "u1,south"], ":4 tells another group of u1 than a line before"),
    ],
)
def test_a_file_that_tells_no_group_or_two_of_a_user_passes_no_gate(
    log: Path, tmp_path: Path, lines: list[str], said: str
) -> None:
    """All would be one group, which is equal to itself; or the order of the lines would tell the group."""
    groups = tmp_path / "g.csv"
    groups.write_text("\n".join(["user_id,region", *lines, *lines[:1]]))
    result = fair(tmp_path, "--log", log, "--groups", groups)
    assert (result.exit_code, said in result.output.replace("\n", "")) == (1, True)


@pytest.mark.parametrize("matured", [0, 1, 3])
def test_the_gate_needs_no_outcomes_and_says_no_uplift_where_they_are_too_few(
    made: list[Decision], tmp_path: Path, matured: int
) -> None:
    """A young log: outcomes of decisions not read, of none with a choice, or of fewer users than folds."""
    with_choice = [one for one in made if len(one.candidates) > 1]
    told = [*outcomes(with_choice[: 2 * matured : 2], EFFECTS), outcomes(decisions(USERS + 1), EFFECTS)[-1]]
    log = write_lines(tmp_path / "young.jsonl", made, told)
    groups = write_groups(tmp_path / "g.csv", lambda user: f"lot {user % 2}")
    result = fair(tmp_path, "--log", log, "--groups", groups, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    for one in found(result)["groups"].values():
        assert one["uplift_a_decision"] == {"value": None, "interval": None}


def test_a_page_has_every_group(log: Path, tmp_path: Path) -> None:
    groups = write_groups(tmp_path / "g.csv", lambda user: f"lot <{user % 2}>")
    page = tmp_path / "fair.html"
    assert fair(tmp_path, "--log", log, "--groups", groups, "--report", page).exit_code == 0
    text = page.read_text()
    assert "lot &lt;0&gt;" in text
    assert "https://" not in text.split("</script>")[-1]


@pytest.mark.parametrize("seed", range(3))
def test_chance_alone_rarely_makes_a_group_unequal(seed: int) -> None:
    """40 worlds without a difference: the gate may close in at most 1 of 20, and two more by luck."""
    closed = 0
    for world in range(40):
        generator = np.random.default_rng([seed, world])
        users = np.repeat(np.arange(300), 2)
        selected = (generator.random(600) < 0.15).astype(float)
        groups = [f"g{user % 3}" for user in users]
        made = Treatment(selected, selected, np.ones(600))
        gained = Earned(np.zeros(600), np.zeros(600, dtype=np.bool_))
        judged = judge(groups, [str(user) for user in users], made, gained, Rule(0.8, 50, {}, 500, seed))
        closed += any(one["verdict"] == "unequal" for one in judged.values())
    assert closed <= 4


def judged_of(groups: list[str], selected: Vector, rule: Rule, spent: Vector | None = None) -> dict[str, Any]:
    """Returns what is judged of one decision a user, with nothing known of uplift."""
    users, count = [str(number) for number in range(len(groups))], len(groups)
    made = Treatment(selected, selected if spent is None else spent, np.ones(count))
    return judge(groups, users, made, Earned(np.zeros(count), np.zeros(count, dtype=np.bool_)), rule)


def test_many_groups_and_two_ratios_of_each_close_the_gate_by_chance_no_oftener() -> None:
    """100 worlds without a difference, where any ratio but 1 is outside the band: chance alone closes the gate."""
    closed = 0
    for world in range(100):
        generator = np.random.default_rng([11, world])
        selected = generator.random(1_200)
        groups = [f"g{user % 8}" for user in range(1_200)]
        judged = judged_of(groups, selected, Rule(0.9999, 50, {}, 1_300, world), selected * generator.random(1_200))
        closed += any(one["verdict"] == "unequal" for one in judged.values())
    assert closed <= 9, "1 in 20, and two deviations of luck"


def test_draws_that_cannot_tell_the_ends_of_so_many_intervals_are_wrong_use() -> None:
    groups = [f"g{user % 20}" for user in range(2_000)]
    with pytest.raises(UsageError, match=r"--draws 100: intervals of 20 groups .* it takes 1,600 draws"):
        judged_of(groups, np.full(2_000, 0.5), Rule(0.8, 50, {}, 100, 7))


def test_a_group_that_alone_is_made_offers_is_not_equal() -> None:
    """Its ratio is without bound; the others are too few to be judged, and so cannot close the gate."""
    groups = ["all"] * 500 + ["none"] * 100
    judged = judged_of(groups, np.array([0.5] * 500 + [0.0] * 100), Rule(0.8, 200, {}, 300, 7))
    assert {name: one["verdict"] for name, one in judged.items()} == {"all": "undecided", "none": "too_few"}
    idle = judged_of(groups, np.zeros(600), Rule(0.8, 200, {}, 300, 7))
    assert idle["all"]["verdict"] == "equal"
