"""Recounts a run from its topics, and tells what was lost, doubled, contradicted or overspent.

It shares no code with the engine: it was written from README.md, docs/ and the contracts, and does with sets and sums
what the engine does with rings, timers and a changelog. In traffic without visitors who log in every decision can be
foretold; with them, when two ids become one depends on the workers' pace, and of what happens before only part can.
"""

from collections.abc import Mapping, Sequence

from forestay_chaos.oracle_counts import check_features, check_states
from forestay_chaos.oracle_decisions import check_decisions
from forestay_chaos.oracle_ledger import check_ledger
from forestay_chaos.oracle_letters import check_dead_letters
from forestay_chaos.oracle_truth import truth_of
from forestay_chaos.read_record import ReadRecord
from forestay_chaos.traffic import Traffic
from forestay_chaos.verdict import Verdict

__all__ = ["ReadRecord", "Verdict", "judge"]


def judge(traffic: Traffic, read: Mapping[str, Sequence[ReadRecord]]) -> Verdict:
    """Returns what is to be said of the records `read`, by role of their topic, in order of partition and offset."""
    truth = truth_of(traffic, read["clickstream"], read["clock"])
    verdict = Verdict(
        events=sum(map(len, truth.counted.values())),
        repeats=sum(truth.repeats.values()) + sum(count - 1 for count in truth.sent.values()),
    )
    missing = [place for place in range(len(traffic.records)) if place not in truth.sent]
    if missing:
        verdict.complete = False
        verdict.find("not_sent", f"records {missing[:5]} of the traffic are not on their topics", len(missing))
    check_features(traffic, truth, read["features"], verdict)
    check_states(traffic, truth, read["state"], verdict)
    check_dead_letters(truth, read["clickstream"], read["dead_letters"], verdict)
    check_decisions(traffic, truth, read, verdict)
    check_ledger(read, verdict)
    return verdict
