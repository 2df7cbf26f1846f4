"""Latencies and their percentiles."""

from hypothesis import given
from hypothesis import strategies as st
from support.books_world import TOPIC, seen_decision

from forestay.demo.latency import by_rung, latencies, percentiles


@given(st.lists(st.integers(0, 10_000), min_size=1).map(sorted))
def test_percentiles_are_values_with_at_least_their_share_at_or_below(ordered: list[int]) -> None:
    found = percentiles(ordered)
    assert found is not None
    for share, value in ((0.5, found.p50), (0.9, found.p90), (0.99, found.p99), (1.0, found.max)):
        assert value in ordered
        assert sum(other <= value for other in ordered) >= share * len(ordered)
        assert sum(other < value for other in ordered) < share * len(ordered)


def test_of_nothing_there_are_none() -> None:
    assert percentiles([]) is None


def test_a_latency_runs_from_the_source_record_to_the_decision_and_to_its_reader() -> None:
    decision = seen_decision(4, "u1", 1, None, partition=2)
    decision = decision._replace(stamp=decision.stamp._replace(timestamp=1_030, arrived=1_045))
    found = latencies([decision], TOPIC, {(2, 4): 1_000})
    assert (found.to_record, found.to_consumer) == ([30], [45])


def test_what_other_records_caused_does_not_count() -> None:
    decision = seen_decision(4, "u1", 1, None, partition=2)
    assert latencies([decision], TOPIC, {(2, 5): 0}).to_record == []
    assert latencies([decision], "forestay-clock", {(2, 4): 0}).to_record == []


def test_decisions_are_grouped_by_rung() -> None:
    assert {
        rung: len(group) for rung, group in by_rung([seen_decision(n, "u", n, None) for n in (1, 2)]).items()
    } == {"model": 2}
