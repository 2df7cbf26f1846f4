"""The bench's figures: progress between two points, ratios larger when we are better, and the last line."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from forestay_bench import report
from forestay_bench.progress import Point, at, marks
from forestay_bench.recovering import Recovery
from forestay_bench.recovering import ratios as ratios_of_recoveries
from forestay_bench.results import Measurement, ratios
from forestay_bench.screen import Screen
from forestay_bench.sitting import Outcome


def run(name: str, warm_rate: float = 100_000.0, warm_cpu_us: float = 10.0) -> Measurement:
    return Measurement(
        name=name,
        title=f"the engine {name}",
        events=3_000_000,
        wall_seconds=30.0,
        rate=90_000.0,
        warm_rate=warm_rate,
        cpu_us=12.0,
        warm_cpu_us=warm_cpu_us,
        memory_mb=400.0,
        broker_cpu_seconds=1.0,
        others_cpu_seconds=0.1,
        startup_cpu_seconds=1.0,
        disturbed=False,
        outputs=510_000,
    )


SITTING = [
    run("aiokafka", warm_rate=300_000, warm_cpu_us=2.8),
    run("forestay-same_job", warm_rate=120_000, warm_cpu_us=7.0),
    run("forestay-full", warm_rate=60_000, warm_cpu_us=14.0),
    run("kafka-streams", warm_rate=150_000, warm_cpu_us=7.7),
    run("faust", warm_rate=2_400, warm_cpu_us=400),
    run("aiokafka", warm_rate=340_000, warm_cpu_us=2.8),
]


def test_marks_are_read_among_other_lines() -> None:
    assert marks(["MARK 1 10.5 0.25", "WARN something", "MARK 300000 12.0 1.5", "MARK"]) == [
        Point(1, 10.5, 0.25),
        Point(300_000, 12.0, 1.5),
    ]


def test_the_moment_between_two_points_lies_on_their_line() -> None:
    points = [Point(0, 10.0, 1.0), Point(100, 11.0, 2.0), Point(200, 13.0, 2.5)]
    assert at(points, 150) == Point(150, 12.0, 2.25)
    assert at(points, 200) == points[2]
    assert at(points, 0) == points[0]
    with pytest.raises(ValueError, match="200 events were done, not 201"):
        at(points, 201)


def test_ratios_are_larger_when_we_are_better() -> None:
    assert ratios(SITTING) == {
        "same_job": {
            "vs_stock_faust": 50.0,
            "vs_aiokafka_json": 0.375,
            "cpu_vs_kafka_streams": 1.1,
            "cpu_vs_flink": None,
        },
        "full": {"vs_aiokafka_json": 0.188, "cpu_vs_kafka_streams": 0.55},
    }


def test_without_our_engine_there_is_no_ratio() -> None:
    peers = [one for one in SITTING if not one.name.startswith("forestay")]
    assert {value for load in ratios(peers).values() for value in load.values()} == {None}


def test_the_last_line_has_the_keys_in_the_order_that_is_asked_for() -> None:
    line = report.ratio_line(Outcome(), quick=False)
    assert report.ratio_line(Outcome(), quick=True) == line.replace("{", '{"quick": true, ', 1)
    assert line == (
        '{"same_job": {"vs_stock_faust": null, "vs_aiokafka_json": null, "cpu_vs_kafka_streams": null,'
        ' "cpu_vs_flink": null}, "full": {"vs_aiokafka_json": null, "cpu_vs_kafka_streams": null}}'
    )


def test_output_is_called_right_only_where_there_is_an_output() -> None:
    said = io.StringIO()
    screen = Screen(Console(file=said, width=200))
    silent, emitting, wrong = run("reference"), run("forestay-full"), run("quix")
    silent.outputs = 0
    wrong.problems.append("1 records came out, not 2")
    for one in (silent, emitting, wrong):
        screen.measured(one)
    assert [line.rpartition("when warm")[2] for line in said.getvalue().splitlines()] == [
        "",
        ", output right",
        ", output WRONG",
    ]


def test_the_files_tell_what_was_measured_left_out_and_wrong(tmp_path: Path) -> None:
    wrong = run("plain")
    wrong.problems.append("1 records came out, not 2")
    disturbed = run("quix")
    disturbed.disturbed = True
    outcome = Outcome([*SITTING, wrong, disturbed], ["Flink: javac is missing"], ["plain: 1 records came out, not 2"])
    report.write(outcome, tmp_path, quick=True)
    page = (tmp_path / "results.md").read_text()
    assert "| the engine forestay-full | 3,000,000 | 90,000 | 60,000 | 12.00 | 14.00 | 400 |" in page
    assert "| the engine quix * |" in page
    assert "its figures are no claim" in page
    assert "- Flink: javac is missing" in page
    assert "- plain: 1 records came out, not 2" in page
    held = json.loads((tmp_path / "results.json").read_text())
    assert held["runs"][1]["warm_cpu_us"] == 7.0
    assert held["ratios"] == ratios(SITTING)
    assert "the engine kafka-streams" in (tmp_path / "plot.html").read_text()


def test_a_page_of_few_runs_has_no_empty_headings() -> None:
    page = report.markdown(Outcome([run("aiokafka")]), quick=False)
    assert "Left out" not in page
    assert "Failed" not in page
    assert "no claim" not in page


def test_recoveries_are_compared_by_rate_and_by_cpu() -> None:
    ours = Recovery("forestay-same_job", "ours", 1_000, 2.0, 0.5, 0.001, 100)
    theirs = Recovery("kafka-streams", "theirs", 500, 1.0, 0.5, 0.005, 100)
    assert (ours.rate, ours.cpu_us) == (2_000, 1)
    assert ratios_of_recoveries([theirs, ours]) == {"vs_kafka_streams": 2.0, "cpu_vs_kafka_streams": 10.0}
    assert ratios_of_recoveries([theirs]) == {}
