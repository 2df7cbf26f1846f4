"""The report is one self-contained page that shows what the summary says and runs nothing it was given."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from support.books_world import TOPIC, dead_letter, seen_action, seen_decision, world

from forestay.core.decision.catalogue import Catalogue
from forestay.core.units import DAY, to_datetime
from forestay.demo.books import keep_books
from forestay.demo.harvest import Harvest
from forestay.demo.meter import Sample
from forestay.demo.metrics import read_metrics
from forestay.demo.report import Material, report, write_report
from forestay.demo.summary import Course, ModelFacts, Phase, RecordingFacts, TrainingSplit, sample, summarise
from forestay.demo.telling import figures, training_sentence
from forestay.output_reading import Reason
from forestay.settings import TopicSettings
from forestay_schemas.types import ActionKind

CATALOGUE = Catalogue.model_validate(
    {
        "name": "test",
        "offers": [
            {
                "id": "coupon-10",
                "kind": "promotion",
                "channel": "email",
                "effect": 0.12,
                "cost": {"basket_share": 0.05},
            },
            {"id": "points-500", "kind": "loyalty", "channel": "app", "effect": 0.06, "cost": {"fixed": 2.5}},
            {"id": "free", "kind": "message", "channel": "app", "effect": 0.01},
        ],
    }
)
MOMENT = to_datetime(15_000 * DAY)


def course(training: bool = True) -> Course:
    model = ModelFacts(name="churn_transformer", version="1", horizon_days=60, trained_until=MOMENT)
    return Course(
        recording=RecordingFacts(
            name="a-shop",
            description="Made.",
            credit="Chen, D.",
            licence="CC-BY-4.0",
            recorded=9,
            events=4,
            first=to_datetime(14_000 * DAY),
            last=MOMENT,
        ),
        model=model if training else None,
        training=TrainingSplit(until=MOMENT, seen=3, unseen=1, steady_part_unseen=True) if training else None,
        fast=Phase(3, 2.0),
        steady=Phase(1, 1.0),
        sent={(0, 1): 900},
        clickstream=TOPIC,
        currency="GBP",
        seconds=12.34,
        core="plain Python: it is not built; scripts/compile builds it",
        deadline_seconds=0.5,
        worker_stages="apply=1.00s",
        report="report.html",
    )


def material(text: str = "likely to leave", *, acting: bool = True, training: bool = True) -> Material:
    evidence = world([[(1_000, "coupon-10" if acting else None), (2_000, None)]], [1], dead=1, partitions=1)
    harvest = Harvest(TopicSettings())
    harvest.decisions.extend(evidence.decisions)
    for action in evidence.actions:
        because = msgspec.structs.replace(action.record, reasons=(Reason("churn_risk", text),), user_id=text)
        harvest.actions.append(action._replace(record=because))
    harvest.dead_letters.extend([dead_letter(0, 5)._replace(reason=text)] if acting else [])
    summary = summarise(course(training), harvest, keep_books(evidence))
    looks = [Sample(at, 4, int(at), 1, 2.0, 1, 2, 0, {"model": 2}, {"promotion": 1}) for at in (0.0, 1.5, 3.0)]
    return Material(summary, course(training), harvest, looks, CATALOGUE, None)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["script"]:
            self.text += data


def page(html: str) -> _Page:
    parsed = _Page()
    parsed.feed(html)
    return parsed


def test_the_page_needs_nothing_from_elsewhere() -> None:
    found = page(report(material()))
    assert [source for source in found.sources if "creativecommons.org" not in source] == []
    assert not {"link", "img", "iframe"} & set(found.tags)


def test_the_page_shows_what_happened() -> None:
    text = re.sub(r"\s+", " ", page(report(material())).text)
    for said in (
        "✓ The books balance", "4 events of “a-shop”", "1,000 days of a shop in 12 seconds", "Chen, D.", "CC-BY-4.0",
        "trained on this shop until 2011-01-26", "likely to leave", "Message", "Contract", "clickstream-0@5",
        "3 applied + 1 duplicates + 1 dead-lettered", "5% of the basket", "nothing here shows that an action works",
        "Core: plain Python: it is not built",
    ):  # fmt: skip
        assert said in text, said


def test_books_that_do_not_balance_are_shown_as_such() -> None:
    sound = material()
    wrong = msgspec.structs.replace(
        sound.summary,
        balanced=False,
        books=[msgspec.structs.replace(line, balanced=False, note="2 missing") for line in sound.summary.books],
    )
    text = page(report(sound._replace(summary=wrong))).text
    assert "✗ The books do not balance" in text
    assert "2 missing" in text


def test_what_a_record_says_is_text_and_never_markup() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    html = report(material(evil))
    assert "<script>alert" not in html
    assert "<img" not in page(html).tags
    assert "&lt;script&gt;alert(1)" in html


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        write_report(tmp_path / name, material())
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_run_without_actions_model_or_dead_letters_has_a_report_too() -> None:
    text = page(report(material(acting=False, training=False))).text
    assert "Triton served no model" in text
    assert "None." in text


def test_the_report_counts_the_dead_letters_it_leaves_out() -> None:
    much = material()
    much.harvest.dead_letters.extend(dead_letter(0, offset) for offset in range(100, 160))
    assert "and 11 more" in page(report(much)).text


# -- the summary -------------------------------------------------------------------------------------


def test_the_summary_counts_what_was_seen() -> None:
    summary = material().summary
    assert (summary.balanced, summary.decisions, summary.actions, summary.cost) == (True, 2, 1, 1.0)
    assert summary.scores_by_rung == {"model": 2}
    assert summary.dead_letters == {"contract": 1}
    assert summary.events_per_second == 1.5
    # Of two decisions only the second was caused by a record of the steady part, 1,100 ms before.
    assert summary.decision_latency.to_record is not None
    assert summary.decision_latency.to_record.p50 == 1_100
    assert summary.action_latency.to_record is None
    assert dict(figures(summary))["throughput"].startswith("2 events/s end to end (3 in 2.0 s")


def test_scores_that_are_not_the_models_are_told() -> None:
    assert "not by the model" not in str(list(figures(material().summary)))
    late = msgspec.structs.replace(material().summary, scores_by_rung={"model": 1, "rule": 1})
    said = "1 score came later than 0.5 s, or not at all: the rule or the last score stood in"
    assert dict(figures(late))["  not by the model"] == said
    assert said in page(report(material()._replace(summary=late))).text


def test_the_summary_says_which_form_the_core_had() -> None:
    assert dict(figures(material().summary))["core"] == "plain Python: it is not built; scripts/compile builds it"


def test_an_id_repeated_after_a_crash_counts_once() -> None:
    made = material()
    made.harvest.decisions.append(made.harvest.decisions[0])
    made.harvest.actions.append(made.harvest.actions[0])
    evidence = world([[(1_000, "coupon-10"), (2_000, None)]], [1], dead=1, partitions=1)
    summary = summarise(course(), made.harvest, keep_books(evidence))
    assert (summary.decisions, summary.actions, summary.cost) == (2, 1, 1.0)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (True, "3 of these events (75%) lie before, 1 (25%) after; the model had seen nothing of the last part"),
        (False, "does not say"),
    ],
)
def test_the_summary_says_what_the_model_was_trained_on(training: bool, said: str) -> None:
    assert said in training_sentence(material(training=training).summary)


def test_samples_are_few_of_every_kind_and_the_same_for_the_same_actions() -> None:
    actions = [
        seen_action(seen_decision(number, f"u{number}", number, "x"), kind=list(ActionKind)[number % 4]).record
        for number in range(200)
    ]
    chosen = sample(actions)
    assert chosen == sample(list(reversed(actions)))
    assert len(chosen) == 6
    assert {action.kind for action in chosen} == set(list(ActionKind)[:4])
    assert len({action.action_id for action in chosen}) == len(chosen)
    assert sample([]) == []


# -- the model's figures -----------------------------------------------------------------------------


def test_the_models_figures_are_shown_where_there_are_any(tmp_path: Path) -> None:
    figures = {
        model: {"auc": [0.7123, 0.69, 0.73], "log_loss": [0.6, 0.59, 0.61], "brier": [0.2, 0.1, 0.3]}
        for model in ("recency only", "Transformer", "Transformer, seed 2")
    }
    metrics = {
        "trained_until": "2010-07-31T00:00:00.000Z",
        "splits": {"test": {"rows": 2_500}, "live": {"rows": 9_000}},
        "test": {"figures": figures, "differences": {}},
        "live_test": {"figures": figures, "differences": {}},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    table = read_metrics(tmp_path / "metrics.json")
    assert table is not None
    assert table.rows == [
        ["recency only", "0.712", "0.600", "0.712", "0.600"],
        ["Transformer", "0.712", "0.600", "0.712", "0.600"],
    ]
    text = page(report(material()._replace(metrics=table))).text
    assert "2,500 customers" in text
    assert "0.712" in text


@pytest.mark.parametrize("content", [None, "{}", "nonsense", '{"test": 1}'])
def test_figures_of_another_form_are_left_out(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    assert read_metrics(tmp_path / "metrics.json") is None
