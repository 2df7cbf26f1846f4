"""The catalogue's topic: which record counts, whoever reads it and whenever, and what is never worked with."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import catalogue, offer

from forestay.catalogue_file import load_catalogue
from forestay.catalogues.history import History
from forestay.catalogues.record import MAX_BYTES, read_catalogue, read_record, record_of
from forestay.configuration import check_memory
from forestay.core.decision.catalogue import Catalogue
from forestay.core.errors import ConfigurationError
from forestay.core.rules import Rules
from forestay.core.units import DAY
from forestay.settings import DEFAULT_CATALOGUE

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def value(one: Catalogue, revision: int, **changes: Any) -> bytes:
    """Returns the bytes of a record, with other fields where asked for."""
    record = record_of(one, revision=revision, pushed_at=NOW, pushed_by="me", reason="because")
    return json.dumps(json.loads(record.value or b"") | changes).encode()


def shop(name: str) -> Catalogue:
    return catalogue(offer(name))


@pytest.mark.parametrize(
    "one",
    [
        load_catalogue(DEFAULT_CATALOGUE),
        catalogue(
            offer("a", available={"from": "2026-01-01T00:00:00Z"}, eligibility={"countries": ["GB", "IE"]}),
            quiet_hours={"from": "21:00", "until": "8:30", "days": ["sun", "mon"]},
            budgets=[{"id": "b", "limit": 3, "period": "campaign", "starts": "2026-01-01", "ends": "2026-02-01"}],
            kind_cooldown_days={"message": 0.1},
        ),
    ],
)
def test_a_catalogue_comes_back_from_its_record_as_the_same_policy(one: Catalogue) -> None:
    record = record_of(one, revision=1, pushed_at=NOW, pushed_by="me", reason="because")
    again = read_catalogue(read_record(record.value).catalogue)
    assert again == one
    assert again.digest() == one.digest() == read_record(record.value).version


def test_every_revision_has_a_key_of_its_own() -> None:
    same = [record_of(shop("a"), revision=1, pushed_at=NOW, pushed_by=by, reason="r").key for by in ("me", "you")]
    assert len({*same, record_of(shop("a"), revision=2, pushed_at=NOW, pushed_by="me", reason="r").key}) == 3


def test_the_newest_revision_counts_and_all_stay_readable() -> None:
    history = History()
    for number, name in enumerate("abc", start=1):
        assert history.take(number, value(shop(name), number)).refused is None
    assert history.revision == 3
    assert history.current == shop("c")
    for name in "abc":
        assert history.catalogue(shop(name).digest()) == shop(name)
    assert history.catalogue("0" * 12) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (None, "JSON"),
        (b"", "JSON"),
        (b"{", "JSON"),
        (b'{"revision": 2}', "version: Field required"),
        (value(shop("b"), 2, sha256="0" * 64), "it was altered"),
        (value(shop("b"), 2, surprise=1), "surprise"),
        (value(shop("b"), 2, pushed_by="me\nERROR all is lost"), "pushed_by"),
        (b" " * (MAX_BYTES + 1), "takes more than"),
    ],
)
def test_what_is_no_revision_changes_nothing_and_the_next_may_follow(bad: bytes | None, why: str) -> None:
    history = History()
    history.take(0, value(shop("a"), 1))
    assert why in (history.take(1, bad).refused or "")
    assert (history.revision, history.current) == (1, shop("a"))
    assert history.take(2, value(shop("c"), 2)).refused is None
    assert history.current == shop("c")


def test_of_two_that_follow_the_same_the_first_counts() -> None:
    history = History()
    history.take(0, value(shop("a"), 1))
    history.take(1, value(shop("mine"), 2))
    lost = history.take(2, value(shop("yours"), 2))
    assert lost.refused == "it was made to follow revision 1, and 2 was there before it"
    assert history.current == shop("mine")
    assert history.take(3, value(shop("next"), 3)).refused is None


def test_a_revision_that_cannot_work_here_is_passed_over_and_the_next_follows_it() -> None:
    rules = Rules(idle=300 * DAY)
    history = History(lambda one: check_memory(one, rules))
    history.take(0, value(shop("a"), 1))
    refused = history.take(1, value(catalogue(offer("b", cooldown_days=300)), 2)).refused
    assert "set engine.idle_days" in (refused or "")
    assert (history.revision, history.current) == (2, shop("a"))
    assert history.take(2, value(shop("c"), 3)).refused is None
    assert history.current == shop("c")


def test_a_catalogue_too_large_for_the_topic_is_not_written() -> None:
    large = catalogue(*[offer(f"o{n}", payload={"text": "x" * 2_000}) for n in range(190)])
    text = large.model_dump_json()
    assert len(text) < MAX_BYTES
    record_of(large, revision=1, pushed_at=NOW, pushed_by="me", reason="r")
    items = {"items_out_of_stock": [f"item-{n}-{'y' * 90}" for n in range(9_000)]}
    larger = Catalogue.model_validate(large.model_dump(by_alias=True) | {"switches": items})
    with pytest.raises(ConfigurationError, match="1,000,000 at most"):
        record_of(larger, revision=1, pushed_at=NOW, pushed_by="me", reason="r")


@pytest.mark.parametrize("reason", ["", "x" * 501, "two\nlines"])
def test_what_is_said_of_it_is_one_line(reason: str) -> None:
    with pytest.raises(ConfigurationError, match="reason"):
        record_of(shop("a"), revision=1, pushed_at=NOW, pushed_by="me", reason=reason)


#: Records as they may come: of a writer that follows the newest, follows an older one, or writes nonsense.
STEPS = st.lists(st.tuples(st.sampled_from(["follows", "stale", "nonsense", "unfit"]), st.sampled_from("abc")))


@given(steps=STEPS)
def test_whatever_comes_the_newest_that_followed_counts(steps: list[tuple[str, str]]) -> None:
    """The oracle is one line a kind: a counter, and the last that was fit."""
    rules = Rules(idle=300 * DAY)
    history = History(lambda one: check_memory(one, rules))
    revision, fit = 0, None
    for offset, (kind, name) in enumerate(steps):
        if kind == "nonsense":
            history.take(offset, b"\x00")
        elif kind == "stale" and revision:
            history.take(offset, value(shop(name), revision))
        elif kind == "unfit":
            revision += 1
            history.take(offset, value(catalogue(offer(name, cooldown_days=300)), revision))
        else:
            revision += 1
            fit = shop(name)
            history.take(offset, value(fit, revision))
    assert (history.revision, history.current) == (revision, fit)
    assert len(history.entries) == len(steps)
