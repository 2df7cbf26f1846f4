"""Switches turned by command, and a catalogue tried beside the settings' file, with no broker."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import START, catalogue, click, offer, source
from support.rerunning import recorded
from typer.testing import CliRunner

from forestay.cli.catalogue_changing import Stops, switched
from forestay.cli.main import app
from forestay.configuration import check_memory
from forestay.core.errors import ConfigurationError, UsageError
from forestay.core.rules import Rules
from forestay.core.units import HOUR
from forestay_schemas import ActionKind

SHOP = catalogue(offer("a"), offer("b", kind="promotion"), offer("c", kind="outreach"))
KINDS = [ActionKind.MESSAGE, ActionKind.PROMOTION]
STEPS = st.lists(
    st.tuples(st.booleans(), st.lists(st.sampled_from("abc")), st.lists(st.sampled_from(KINDS)), st.booleans())
)


@given(steps=STEPS)
def test_what_was_named_last_counts_for_each_offer_and_kind(
    steps: list[tuple[bool, list[str], list[ActionKind], bool]],
) -> None:
    """The oracle keeps, by name, whether the last step that named it stopped it."""
    last: dict[str, bool] = {}
    shop = SHOP
    for stop, offers, kinds, everything in steps:
        shop = switched(shop, Stops(offers, kinds, everything), stop=stop)
        last |= dict.fromkeys([*offers, *kinds, *(["everything"] if everything else [])], stop)
    for one in SHOP.offers:
        stopped = any(last.get(name, False) for name in (one.id, one.kind, "everything"))
        assert shop.switches.stops(one.id, one.kind) is stopped
    # Nothing but the switches has changed, and what is written of them is read again.
    assert shop.model_copy(update={"switches": SHOP.switches}) == SHOP
    assert type(shop).model_validate_json(shop.model_dump_json(by_alias=True)) == shop


def test_an_offer_that_is_not_there_cannot_be_paused() -> None:
    with pytest.raises(UsageError, match="there is no offer d; there are a, b, c"):
        switched(SHOP, Stops(["d", "a"], [], everything=False), stop=True)


def test_try_is_the_dry_run_that_diff_is(tmp_path: Path) -> None:
    clicks = [click(f"e{n}", f"u{n}", "purchase", START + n * HOUR, price=900, currency="GBP") for n in range(20)]
    recorded(tmp_path / "events.jsonl", [source(one, offset) for offset, one in enumerate(clicks)])
    for name, shop in (("old", catalogue(offer("a"))), ("new", catalogue(offer("b", effect=0.9)))):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(json.loads(shop.model_dump_json(by_alias=True))))
    old, new, events = (str(tmp_path / name) for name in ("old.yaml", "new.yaml", "events.jsonl"))
    common = ["--scores", "none", "--json", "--set", f"catalogue={old}"]
    tried = CliRunner().invoke(app, ["catalogue", "try", new, events, *common])
    compared = CliRunner().invoke(app, ["diff", events, "--catalogue", new, *common])
    assert tried.exit_code == 0
    found = json.loads(tried.stdout)
    assert found == json.loads(compared.stdout)
    assert {row["name"]: row["before"]["actions"] > 0 for row in found["offers"]} == {"a": True, "b": False}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"share": 0.1, "at_least": 5, "offer": "d"}, "switches name what is no offer: d"),
        ({"share": 0.1, "at_least": 5, "offer": "a", "kind": "message"}, "an offer or a kind, not both"),
        ({"share": 0.0, "at_least": 5}, "greater than 0"),
        ({"share": 0.1, "at_least": 5, "feedback": []}, "at least 1"),
        ({"at_least": 5}, "Field required"),
    ],
)
def test_an_automatic_pause_that_could_not_work_is_refused(rule: dict[str, object], said: str) -> None:
    content = SHOP.model_dump(by_alias=True) | {"switches": {"automatic": [rule]}}
    with pytest.raises(ValidationError, match=said):
        type(SHOP).model_validate(content)


def test_feedback_is_counted_where_it_is_waited_for() -> None:
    content = SHOP.model_dump(by_alias=True) | {"switches": {"automatic": [{"share": 0.1, "at_least": 5}]}}
    watched = type(SHOP).model_validate(content)
    check_memory(watched, Rules())
    with pytest.raises(ConfigurationError, match=r"engine\.reward_horizon_days is 0"):
        check_memory(watched, Rules(reward_horizon=0))
    check_memory(SHOP, Rules(reward_horizon=0))
    # Who has no such rules keeps the version they had.
    assert "automatic" not in SHOP.model_dump_json()
    assert "lifted" not in SHOP.model_dump_json()
