"""The catalogue's file: what is wrong with it is said where it stands, and that it fits what else is set."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from forestay.catalogue_file import load_catalogue
from forestay.cli.main import app
from forestay.configuration import load_configuration
from forestay.core.errors import ConfigurationError
from forestay.lined_yaml import MAX_BYTES
from forestay.settings import EngineSettings, Settings

SHOP = """\
name: shop
offers:
  - {id: a, kind: message, channel: email, effect: 0.1, cooldown_days: 300}
"""


@pytest.mark.parametrize(("idle", "works"), [(479, False), (480, True)])
def test_no_user_is_forgotten_whose_contacts_still_count(tmp_path: Path, idle: float, works: bool) -> None:
    """300 days of cooldown after a contact in the last silence, which is 180 days after the last event."""
    file = tmp_path / "catalogue.yaml"
    file.write_text(SHOP)
    settings = Settings(catalogue=file, engine=EngineSettings(idle_days=idle))
    if works:
        assert load_configuration(settings).catalogue.name == "shop"
    else:
        with pytest.raises(ConfigurationError, match=r"set engine\.idle_days to 480 at least"):
            load_configuration(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SHOP + "  - {id: b, kind: message, channel: email, effect: 2}\n", "FILE:4: offers.1.effect: "),
        (SHOP + "  - id: b\n    kind: letter\n    channel: email\n    effect: 0.1\n", "FILE:5: offers.1.kind: "),
        (SHOP + "  - id: b\n    kind: message\n", "FILE:4: offers.1.channel: Field required"),
        (SHOP + "guardrail: {}\n", "FILE:4: guardrail: there is no such part; is guardrails meant?"),
        (
            SHOP + "guardrails:\n  holdout: 0\n  cap_contact: 1\n",
            "FILE:6: guardrails.cap_contact: there is no such part; is cap_contacts meant?",
        ),
        (
            SHOP.replace("cooldown_days", "cooldown"),
            "FILE:3: offers.0.cooldown: there is no such part; is cooldown_days meant?",
        ),
        (SHOP + "guardrails:\n  quiet_hours:\n    from: 9\n    until: 9\n", "FILE:5: guardrails.quiet_hours: quiet"),
        (SHOP + "name: again\n", "FILE:4: name stands here twice"),
        ("name: [\n", "FILE:2: "),
        ("", "FILE:1: the catalogue: "),
        (SHOP + "offers: *all\n", "FILE:4: found undefined alias"),
        ("#" * MAX_BYTES + "\n", "the catalogue FILE takes more than"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_catalogue(file)
    assert str(error.value).replace(str(file), "FILE").splitlines()[0].startswith(said)


def test_the_example_of_the_documentation_loads_and_says_what_it_says(tmp_path: Path) -> None:
    root = Path(__file__).parents[2] / "docs"
    page = (root / "catalogue.md").read_text().split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "catalogue.yaml"
    file.write_text(page)
    assert load_catalogue(file).tier(600) == "silver"
    rules = (root / "guardrails.md").read_text().split("```yaml\n")
    file.write_text(SHOP + rules[1].split("```")[0] + rules[2].split("```")[0])
    shop = load_catalogue(file)
    assert shop.guardrails.quiet_hours is not None
    assert (shop.guardrails.quiet_hours.begin, shop.guardrails.quiet_hours.until) == (21 * 60, 8 * 60)
    assert shop.review_risk is not None


def test_a_time_of_day_may_stand_without_quotes(tmp_path: Path) -> None:
    """YAML 1.1 reads 21:00 as a number of base 60: the minutes of the day, as it happens."""
    file = tmp_path / "catalogue.yaml"
    file.write_text(SHOP + "guardrails: {quiet_hours: {from: 21:00, until: 08:00}}\n")
    hours = load_catalogue(file).guardrails.quiet_hours
    assert hours is not None
    assert (hours.begin, hours.until) == (21 * 60, 8 * 60)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["catalogue", *arguments])


def test_the_commands_check_show_and_compare(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(SHOP)
    new.write_text(SHOP.replace("0.1", "0.2") + "switches: {paused: [a]}\n")
    checked = run("check", str(old), "--json")
    assert (checked.exit_code, json.loads(checked.stdout)["offers"]) == (0, 1)
    assert "paused" in run("show", str(new)).stdout
    assert "offered" in run("show", str(old)).stdout
    shown = json.loads(run("show", str(new), "--json").stdout)
    assert (shown["offers"][0]["effect"], shown["guardrails"]["cap_contacts"]) == (0.2, 3)
    assert run("diff", str(old), str(new)).stdout.splitlines() == [
        "offers.a.effect: 0.1 -> 0.2",
        'switches.paused: [] -> ["a"]',
    ]
    found = json.loads(run("diff", str(old), str(old), "--json").stdout)
    assert found["changes"] == []
    assert found["versions"] == {"before": shown_version(old), "after": shown_version(old)}
    new.write_text(SHOP.replace("id: a", "id: b"))
    places = [change["place"] for change in json.loads(run("diff", str(old), str(new), "--json").stdout)["changes"]]
    assert {"order of offers", "offers.a.id", "offers.b.id"} <= set(places)


def shown_version(file: Path) -> str:
    return load_catalogue(file).digest()


def test_a_catalogue_that_cannot_work_is_a_failure_of_the_check(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text(SHOP.replace("message", "letter"))
    failed = run("check", str(file))
    assert failed.exit_code == 1
    assert "catalogue.yaml:3: offers.0.kind" in failed.output
