"""A campaign's JSON: runs, faults by kind, what must be 0, and how long recovery took."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from forestay_chaos.machine import machine
from forestay_chaos.outcome import Outcome
from forestay_chaos.recovery import percentiles
from forestay_chaos.verdict import FORBIDDEN

#: Why a worker ends by itself, by words of what it says.
_REASONS: Final = {
    "InvalidTimestampError": "Kafka refuses records from a clock that is ahead",
    "are not durable after": "outputs not durable in time",
    "another worker has taken over": "fenced: another worker has its partitions",
    "no durable barrier within": "the last barrier not in time",
}


def totals(outcomes: Sequence[Outcome], seed: int, seconds: float, errors: Sequence[str]) -> dict[str, Any]:
    """Returns the object; `errors` are runs that the harness could not play."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.verdict is not None:
            counts.update({name: value for name, value in vars(outcome.verdict).items() if type(value) is int})
    faults = Counter(kind.partition("@")[0] for outcome in outcomes for kind in outcome.done)
    stages = Counter(kind for outcome in outcomes for kind in outcome.done if "@" in kind)
    return {
        "seed": seed,
        "runs": len(outcomes),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "events": counts["events"],
        "decisions": counts["decisions"],
        "actions": counts["actions"],
        "dead_letters": counts["dead_letters"],
        "faults": dict(sorted(faults.items())),
        "faults_at_stages": dict(sorted(stages.items())),
        "lost": counts["events_lost"] + counts["features_lost"] + counts["decisions_lost"],
        "doubled": counts["events_doubled"] + counts["decisions_doubled"],
        "actions_lost": counts["actions_lost"],
        "actions_repeated_same_id": counts["actions_repeated_same_id"],
        "actions_repeated_other_id": counts["actions_repeated_other_id"],
        "dead_letters_lost": counts["dead_letters_lost"],
        "overspent": counts["caps_overspent"],
        "must_be_0": {name: counts[name] for name in FORBIDDEN},
        "stuck": sum(bool(outcome.stuck) for outcome in outcomes),
        "recordings_wrong": sum(bool(outcome.recorder) for outcome in outcomes),
        "unclean_ends": sum(len(outcome.unclean) for outcome in outcomes),
        "workers_that_stopped_the_line": sum(len(outcome.unasked) for outcome in outcomes),
        "why_they_did": dict(
            Counter(_why(reason) for outcome in outcomes for reason in outcome.unasked).most_common()
        ),
        "recovery_seconds": {
            **_recoveries(outcomes, ""),
            **_recoveries([outcome for outcome in outcomes if not outcome.scenario.static], ", dynamic members"),
            **_recoveries([outcome for outcome in outcomes if outcome.scenario.static], ", static members"),
        },
        "failed_seeds": [outcome.scenario.seed for outcome in outcomes if not outcome.good],
        "errors": list(errors),
        "good": not errors and bool(outcomes) and all(outcome.good for outcome in outcomes),
    }


def _recoveries(outcomes: Sequence[Outcome], which: str) -> dict[str, dict[str, float | int | None]]:
    return {
        number + which: percentiles([one for outcome in outcomes for one in outcome.recoveries.get(number, [])])
        for number in ("SIGKILL", "SIGTERM")
    }


def _why(reason: str) -> str:
    """Returns a worker's last words without what differs from run to run."""
    return next((what for words, what in _REASONS.items() if words in reason), reason)
