"""`forestay catalogue push`, `pause`, `resume` and `history` against a broker: what is shown, refused and written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.builders import START, click, source
from support.embedded import Outgoing, embedded_kafka, running, send_records
from support.rerunning import recorded
from support.workers import environment
from typer.testing import CliRunner, Result

from forestay.cli.main import app
from forestay.core.units import HOUR
from forestay.embedded.broker import EmbeddedBroker
from forestay.settings import Settings, TritonSettings, WorkerSettings
from forestay.settings.jobs import CatalogueSource
from forestay.shell.topics import declare

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.timeout(120),
]

SHOP = """\
name: shop
offers:
  - {id: coupon, kind: promotion, channel: email, effect: 0.1}
  - {id: letter, kind: message, channel: email, effect: 0.1}
budgets:
  - {id: gifts, limit: 100}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    broker = EmbeddedBroker(log=tmp_path / "broker.log")
    (tmp_path / "offers.yaml").write_text(SHOP)
    with running(broker):
        found = Settings(
            kafka=embedded_kafka(broker.bootstrap_servers),
            triton=TritonSettings(url="127.0.0.1:1"),
            worker=WorkerSettings(catalogue_source=CatalogueSource.TOPIC),
            catalogue=tmp_path / "offers.yaml",
        )
        monkeypatch.chdir(tmp_path)
        for name, value in environment(found).items():
            monkeypatch.setenv(name, value)
        yield found


def catalogue(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["catalogue", *arguments])


def told(*arguments: str) -> Any:
    done = catalogue(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_catalogue_s_life_on_its_topic(settings: Settings, tmp_path: Path) -> None:
    missing = catalogue("push", "offers.yaml", "--reason", "r", "--yes")
    assert (missing.exit_code, "topics declare" in missing.output) == (1, True)
    declare(settings.kafka, settings.topics)
    assert "nothing was pushed yet" in catalogue("history").output
    assert "push one first" in catalogue("pause", "--all", "--reason", "r").output

    # Shown, and not pushed.
    new = tmp_path / "new.yaml"
    new.write_text(SHOP.replace("effect: 0.1}\n  - {id: l", "effect: 0.3}\n  - {id: l"))
    shown = catalogue("push", "new.yaml", "--reason", "dearer")
    assert shown.exit_code == 1
    assert "offers.coupon.effect: 0.1 -> 0.3" in shown.stdout
    assert told("history") == {"revision": 0, "records": []}

    first = told("push", "new.yaml", "--reason", "dearer", "--by", "ann", "--yes")
    assert (first["revision"], first["pushed"]) == (1, True)
    assert first["changes"] == [{"place": "offers.coupon.effect", "before": 0.1, "after": 0.3}]
    again = catalogue("push", "new.yaml", "--reason", "again", "--yes")
    assert (again.exit_code, "nothing differs" in again.output) == (1, True)

    # A kill switch, and back.
    paused = told("pause", "--action", "coupon", "--kind", "message", "--reason", "wrong code")
    assert paused["changes"] == [
        {"place": "switches.paused", "before": [], "after": ["coupon"]},
        {"place": "switches.paused_kinds", "before": [], "after": ["message"]},
    ]
    assert "paused already" in catalogue("pause", "--action", "coupon", "--reason", "r").output
    told("pause", "--all", "--reason", "mails twice")
    resumed = told("resume", "--action", "coupon", "--reason", "mended")
    assert resumed["changes"] == [{"place": "switches.paused", "before": ["coupon"], "after": []}]
    told("resume", "--all", "--reason", "mended")

    # What feedback has stopped is not in the catalogue: another version lifts it.
    assert "--automatic lifts" in catalogue("resume", "--action", "coupon", "--reason", "r").output
    lifted = told("resume", "--automatic", "--reason", "looked into")
    assert lifted["changes"] == [{"place": "switches.lifted", "before": None, "after": 1}]

    # What cannot follow is refused, and what nobody can read is shown.
    new.write_text(SHOP.replace("limit: 100", "limit: 100, unit: points"))
    refused = catalogue("push", "new.yaml", "--reason", "r", "--yes")
    assert (refused.exit_code, "give the changed budget another id" in refused.output) == (1, True)
    new.write_text(SHOP.replace("kind: message", "kind: letter"))
    assert "new.yaml:4: offers.1.kind" in catalogue("push", "new.yaml", "--reason", "r", "--yes").output
    send_records(settings, settings.topics.catalogue, [Outgoing(b"nonsense", b"k", 0)])
    kept = told("history")
    assert kept["revision"] == 6
    assert [one["reason"] for one in kept["records"]] == [
        "dearer",
        "wrong code",
        "mails twice",
        "mended",
        "mended",
        "looked into",
        None,
    ]
    assert [one["in_force"] for one in kept["records"]] == [False] * 5 + [True, False]
    assert (kept["records"][0]["pushed_by"], kept["records"][0]["version"]) == ("ann", first["version"])
    assert kept["records"][-1]["refused"] is not None
    assert "in force" in catalogue("history").output

    # Back to an earlier one: its file, pushed.
    new.write_text(catalogue("history", "--revision", "1").stdout)
    back = told("push", "new.yaml", "--reason", "back to the first", "--yes")
    assert (back["revision"], back["version"]) == (7, first["version"])
    assert catalogue("history", "--revision", "9").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pause", "--reason", "r"), "--action ID, --kind KIND"),
        (("pause", "--action", "nobody", "--reason", "r"), "there is no offer nobody; there are coupon, letter"),
        (("resume", "--kind", "letters", "--reason", "r"), "letters: is none of"),
        (("pause", "--all"), "--reason"),
    ],
)
def test_wrong_use_says_what_is_right(settings: Settings, arguments: tuple[str, ...], said: str) -> None:
    declare(settings.kafka, settings.topics)
    told("push", "offers.yaml", "--reason", "first", "--yes")
    done = catalogue(*arguments)
    assert done.exit_code == 2
    assert said in done.output


def test_what_is_shown_is_what_workers_go_by(settings: Settings) -> None:
    """A pause is on the topic alone: the file of the settings still offers what it stopped."""
    declare(settings.kafka, settings.topics)
    assert "nothing was pushed to forestay-catalogue yet" in catalogue("show").output
    told("push", "offers.yaml", "--reason", "first", "--yes")
    paused = told("pause", "--action", "coupon", "--reason", "wrong code")
    assert told("show")["version"] == paused["version"]
    shown = catalogue("show").output
    assert "revision 2 on forestay-catalogue" in shown
    assert "paused" in shown
    assert "paused" not in catalogue("show", "offers.yaml").output

    checks = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["checks"]
    (found,) = [check for check in checks if check["name"] == "revision"]
    assert (found["status"], paused["version"] in found["detail"]) == ("ok", True)

    # Where workers read a file, a push says that it reaches none of them.
    by_file = ("--set", "worker.catalogue_source=file")
    assert "paused" not in catalogue("show", *by_file).output
    assert "take nothing from forestay-catalogue" in catalogue("pause", "--all", "--reason", "r", *by_file).output


def test_a_dry_run_is_beside_what_is_in_force_on_the_topic(settings: Settings, tmp_path: Path) -> None:
    """The file of the settings has the offers too, but on the topic everything is paused."""
    declare(settings.kafka, settings.topics)
    told("push", "offers.yaml", "--reason", "first", "--yes")
    told("pause", "--all", "--reason", "stop")
    clicks = [click(f"e{n}", f"u{n}", "purchase", START + n * HOUR, price=900, currency="GBP") for n in range(30)]
    recorded(tmp_path / "events.jsonl", [source(one, offset) for offset, one in enumerate(clicks)])
    found = told("try", "offers.yaml", "events.jsonl", "--scores", "none")
    assert (found["before"]["actions"], found["after"]["actions"] > 0) == (0, True)
    assert {row["name"] for row in found["offers"]} <= {"coupon", "letter"}
    assert told("history")["revision"] == 2
    (tmp_path / "wrong.yaml").write_text(SHOP.replace("limit: 100", "limit: 100, unit: points"))
    refused = catalogue("try", "wrong.yaml", "events.jsonl", "--scores", "none")
    assert (refused.exit_code, "another id" in refused.output) == (1, True)
