"""What a worker tells Prometheus, and its watch on the stream: an alarm is logged when it begins and when is over."""

import logging
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.builders import (
    DIGEST,
    MODEL,
    NOTHING_FOUND,
    SOURCES,
    START,
    TOPIC,
    catalogue,
    click,
    offer,
    partition,
    source,
)
from support.fakes import FakePublisher, FakeScorer, hashing_model
from support.watching import inputs, seen, served_reference

from forestay.core.applied import Applied, Restored
from forestay.core.decision.answer import Answer
from forestay.core.decision.catalogue import Catalogue
from forestay.core.decision.model_input import INPUT_DIGEST
from forestay.core.errors import ConfigurationError
from forestay.core.partition import Partition
from forestay.core.rules import Rules
from forestay.core.units import DAY, MINUTE
from forestay.core.watch.reference import Reference, reference_of
from forestay.settings import TopicSettings, WatchSettings, WebSettings, WorkerSettings
from forestay.shell.health import PartitionSight, Sight, TopicSight
from forestay.shell.observing.exposition import Exposition
from forestay.shell.observing.observer import Observer
from forestay.shell.observing.stream_watch import StreamWatch
from forestay.shell.pipeline import Outside, Pipeline
from forestay.shell.placement import Placement
from forestay.shell.scoring.served import Version
from forestay.shell.timings import Timings
from forestay.shell.web import Answer as Page
from forestay.shell.web import WebPort
from forestay_schemas import FeedbackKind


class Seen:
    """Stands for the look at a worker: at work on one partition, 7 records behind."""

    def live(self) -> Page:
        return Page(True, {})

    ready = live

    def sight(self) -> Sight:
        return Sight({3: PartitionSight({TOPIC: TopicSight(17, 12, 12, 10, 1)}, 10, False)})


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def watching(**settings: Any) -> StreamWatch:
    return StreamWatch(WatchSettings(**settings), lambda: None, lambda: range(100))


def piped(core: Partition, observer: Observer, timings: Timings) -> Pipeline:
    """Returns a pipeline that nothing has gone through."""
    publisher = FakePublisher()
    source_of: Any = None
    outside = Outside(
        FakeScorer(MODEL, hashing_model("a")),
        publisher,
        source_of,
        TopicSettings(),
        WorkerSettings(),
        timings,
        Placement("murmur2", 4),
        DIGEST,
        observer=observer,
    )
    return Pipeline(core, Restored([], []), NOTHING_FOUND, 1, outside)


async def worked(observer: Observer) -> Timings:
    """Puts two purchases and a record that is none through a pipeline."""
    timings = Timings()
    pipeline = piped(Partition(3, SOURCES, Rules(), catalogue()), observer, timings)
    records = [
        source(click("a", "u1", "purchase", START, price=5, item_id="i"), 0),
        source(click("b", "u2", "view_item", START + 1, price=5), 1),
        source(b"no json", 2),
    ]
    await pipeline._batch(TOPIC, records)
    return timings


async def test_prometheus_is_told_what_pipelines_have_done() -> None:
    observer = Observer(watching())
    timings = await worked(observer)
    health: Any = Seen()
    page = Exposition(timings, observer, health).page()
    assert page.content_type.startswith("text/plain; version=0.0.4")
    told = samples(page.content.decode())
    assert told["forestay_records_total", ()] == 3
    assert told["forestay_decisions_total", (("rung", "model"), ("trigger", "event"))] == 2
    assert told["forestay_dead_letters_total", (("reason", "not_json"),)] == 1
    assert told["forestay_lag_records", (("partition", "3"), ("topic", TOPIC))] == 7
    assert told["forestay_live", ()] == told["forestay_ready", ()] == 1
    assert told["forestay_field_ratio", (("field", "item"), ("trouble", "missing"))] == 0.5
    assert told["forestay_alarm", (("of", "item"), ("watch", "missing"))] == 0
    assert told["forestay_reference_users", (("moments", "none"),)] == 0
    for stage in ("apply", "score", "decide", "publish", "observe"):
        assert told["forestay_stage_seconds_count", (("stage", stage),)] == 1
    bounds = [
        value
        for (name, labels), value in told.items()
        if name == "forestay_stage_seconds_bucket" and ("stage", "apply") in labels
    ]
    assert bounds == sorted(bounds)
    assert bounds[-1] == 1


def test_drift_and_alarms_are_told_by_column_and_field() -> None:
    watch, core = watching(first_rows=200), partition()
    watch.take(0, START, *batch_of(core, range(300), START))
    watch.take(0, START, *batch_of(core, range(300, 600), START))
    feed(watch, range(1, 30), 2)
    feed(watch, range(30, 40), 100)
    health: Any = Seen()
    told = samples(Exposition(Timings(), Observer(watch), health).page().content.decode())
    psi, limit = (told[name, (("column", "score"),)] for name in ("forestay_drift_psi", "forestay_drift_psi_limit"))
    assert 0 < psi < limit
    assert told["forestay_drift_users", (("column", "score"),)] >= 290
    assert told["forestay_reference_users", (("moments", "scored"),)] == 200
    assert told["forestay_field_ratio", (("field", "price"), ("trouble", "missing"))] == 1
    assert told["forestay_field_usual_ratio", (("field", "price"), ("trouble", "missing"))] < 0.1
    assert told["forestay_alarm", (("of", "price"), ("watch", "missing"))] == 1
    assert told["forestay_alarms_total", (("of", "price"), ("watch", "missing"))] == 1


def test_what_two_rules_have_stopped_is_one_sample() -> None:
    one = {"feedback": ["complained"], "share": 0.5, "at_least": 1}
    rules = [one, one | {"hours": 1}, one | {"kind": "message"}]
    shop = catalogue(offer("mail", kind="message"), offer("message", kind="message"))
    whole = shop.model_dump(by_alias=True) | {"switches": {"automatic": rules}}
    core = Partition(3, SOURCES, Rules(reward_horizon=DAY), Catalogue.model_validate(whole))
    observer = Observer()
    pipeline = piped(core, observer, Timings())
    for offer_id in ("mail", "message"):
        core.pauses.take(offer_id, 0, FeedbackKind.COMPLAINED, START)
    assert len(core.pauses.tripped) == 5
    pipeline._tell_pauses()
    health: Any = Seen()
    text = Exposition(Timings(), observer, health).page().content.decode()
    told = sorted(line for line in text.splitlines() if line.startswith("forestay_automatic_pause{"))
    # Prometheus takes no page on which a sample is there twice.
    assert told == sorted(set(told))
    assert len(told) == 2


async def test_a_name_is_told_once_and_with_its_help() -> None:
    observer = Observer(watching())
    timings = await worked(observer)
    health: Any = Seen()
    text = Exposition(timings, observer, health).page().content.decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.documentation for family in families)
    assert all(name.startswith(("forestay", "process_")) for name in names)


async def test_the_page_is_behind_the_token_like_the_others() -> None:
    timings = await worked(observer := Observer())
    health: Any = Seen()
    pages = {"/metrics": Exposition(timings, observer, health).page}
    async with WebPort(WebSettings(port=0, token="t0ken"), pages) as port, aiohttp.ClientSession() as session:  # noqa: S106
        url = f"http://127.0.0.1:{port.port}/metrics"
        async with session.get(url) as refused:
            assert refused.status == 401
            assert b"forestay_records" not in await refused.read()
        async with session.get(url, headers={"Authorization": "Bearer t0ken"}) as answered:
            assert answered.status == 200
            assert answered.headers["Cache-Control"] == "no-store"
            assert "forestay_records_total 3.0" in await answered.text()


def applied(missing: int = 0) -> Applied:
    """Returns a batch of a hundred views, so many of them without a price."""
    return Applied([], [], [], [], 0, 100, seen(100, missing={"price": missing}))


def feed(watch: StreamWatch, minutes: range, missing: int) -> None:
    for minute in minutes:
        watch.take(0, START + minute * MINUTE, applied(missing), {})
        watch.look()


def test_an_alarm_is_logged_when_it_begins_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    watch = watching()
    with caplog.at_level(logging.INFO):
        feed(watch, range(30), 2)
        assert caplog.messages == []
        feed(watch, range(30, 60), 100)
        feed(watch, range(60, 90), 2)
    assert caplog.messages == [
        "alarm: missing of price: 21.6% of 500 events, usually 2.0%",
        "alarm over: missing of price",
    ]
    assert watch.begun == {("missing", "price"): 1}


def test_the_page_tells_alarms_in_words() -> None:
    watch = watching()
    feed(watch, range(30), 2)
    feed(watch, range(30, 40), 100)
    page = watch.page()
    assert page.yes
    assert page.content["alarms"] == ["missing of price: 100.0% of 500 events, usually 2.0%"]
    assert page.content["reference"] is None


def test_partitions_that_are_handed_over_are_forgotten() -> None:
    owned = {0, 1}
    watch = StreamWatch(WatchSettings(), lambda: None, lambda: owned)
    for number in (0, 1):
        watch.take(number, START, applied(), {})
    assert next(one.rows for one in watch.look().findings) == 200
    owned.remove(1)
    assert next(one.rows for one in watch.look().findings) == 100


def test_the_reference_is_the_models_own_and_follows_it(caplog: pytest.LogCaptureFixture) -> None:
    first, second = (served_reference(np.random.default_rng(seed)).text for seed in (1, 2))
    declared: dict[str, str | None] = {}
    watch = StreamWatch(WatchSettings(), lambda: declared.get("reference"), lambda: range(9))
    for text, followed in ((None, None), (first, first), (second, second), ("nonsense", None), (None, None)):
        declared["reference"] = text
        for _ in range(2):
            watch.look()
            assert (watch.reference and watch.reference.text) == followed
    assert [line.partition(":")[0] for line in caplog.messages] == ["drift is not watched"]


def test_a_model_declares_its_reference() -> None:
    facts = {"input_digest": INPUT_DIGEST, "model_version": "m", "horizon_days": "60", "reference": "{}"}
    assert Version.of("", facts, "churn", frozenset(), any_length=False).reference == "{}"


def test_a_reference_of_the_settings_stands_before_the_models(tmp_path: Path) -> None:
    file = tmp_path / "reference.json"
    file.write_text(served_reference(np.random.default_rng(1)).text)
    other = served_reference(np.random.default_rng(2)).text
    watch = StreamWatch(WatchSettings(reference=file), lambda: other, lambda: range(9))
    watch.look()
    assert watch.reference is not None
    assert watch.reference.text == file.read_text()


def test_a_reference_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        watching(reference=tmp_path / "none.json")


def batch_of(core: Partition, users: range, at: int) -> tuple[Applied, dict[str, Answer]]:
    clicks = [click(f"e{user}", f"u{user}", "view_item", at + user, price=user % 50) for user in users]
    one = core.apply(TOPIC, [source(value, offset) for value, offset in zip(clicks, users, strict=True)])
    scores = {situation.decision_id: 0.2 + user % 7 / 10 for user, situation in enumerate(one.situations)}
    return one, {name: Answer(score, MODEL) for name, score in scores.items()}


def test_the_first_rows_are_the_reference_where_the_settings_say_so(caplog: pytest.LogCaptureFixture) -> None:
    watch, core = watching(first_rows=200), partition()
    with caplog.at_level(logging.INFO):
        watch.take(0, START, *batch_of(core, range(150), START))
        assert watch.reference is None
        assert watch.page().content["learning"] == 150
        watch.take(0, START, *batch_of(core, range(150, 300), START))
    assert caplog.messages == ["drift is watched against the first 200 scores"]
    assert watch.reference is not None
    assert (watch.reference.users, watch.reference.moments) == (200, "scored")
    watch.take(0, START, *batch_of(core, range(300, 600), START))
    assert all(one.value is not None for one in watch.look().findings if one.watch == "psi")


def test_against_rows_of_cutoffs_the_first_rows_stand_in() -> None:
    text = reference_of(inputs(np.random.default_rng(1), 300))
    watch = StreamWatch(WatchSettings(first_rows=200), lambda: text, lambda: range(9))
    watch.look()
    assert watch.reference is not None
    assert watch.reference.moments == "cutoffs"
    watch.take(0, START, *batch_of(partition(), range(200), START))
    assert Reference(watch.reference.text).moments == "scored"


async def test_a_fault_of_the_watch_ends_the_watch_and_not_the_worker(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = Observer(watching())

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(observer.watch, "take", fail)
    timings = await worked(observer)
    assert observer.watch is None
    assert timings.counts["records"] == 3
    assert "drift is watched no more until this worker starts again" in caplog.messages
    for told, one in ((1, Observer(watching())), (0, observer)):
        health: Any = Seen()
        assert f"forestay_watch {told}.0" in Exposition(timings, one, health).page().content.decode()
    assert "forestay_watch " not in Exposition(timings, Observer(), health).page().content.decode()
