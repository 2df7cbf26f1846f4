"""A campaign's JSON: runs, faults by kind, what must be 0, and how long recovery took."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from forestay_chaos.machine import machine
from forestay_chaos.outcome import Outcome
from forestay_chaos.recovery import percentiles
from forestay_chaos.verdict import FORBIDDEN

#: Why a worker ends by itself, by words of what it says.
_REASONS: Final = {
    "this machine's clock": "Kafka refuses records from a clock that is ahead",
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
        "budgets_overspent": counts["budgets_overspent"],
        "budgets_refused": counts["budgets_refused"],
        "must_be_0": {name: counts[name] for name in FORBIDDEN},
        "stuck": sum(bool(outcome.stuck) for outcome in outcomes),
        "recordings_wrong": sum(bool(outcome.recorder) for outcome in outcomes),
        "replays_that_differ": sum(bool(outcome.replay) for outcome in outcomes),
        "unclean_ends": sum(len(outcome.unclean) for outcome in outcomes),
        "workers_that_stopped_the_line": sum(len(outcome.unasked) for outcome in outcomes),
        "why_they_did": dict(
            Counter(_why(reason) for outcome in outcomes for reason in outcome.unasked).most_common()
        ),
        "recovery_seconds": {name: percentiles(found) for name, found in _recoveries(outcomes).items()},
        "recovery_samples": _recoveries(outcomes),
        "failed_seeds": [outcome.scenario.seed for outcome in outcomes if not outcome.good],
        "errors": list(errors),
        "good": not errors and bool(outcomes) and all(outcome.good for outcome in outcomes),
    }


def _recoveries(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """Returns the seconds of every recovery, by what happened and to whom."""
    parts = {
        "": outcomes,
        ", dynamic members": [outcome for outcome in outcomes if not outcome.scenario.static],
        ", static members": [outcome for outcome in outcomes if outcome.scenario.static],
    }
    return {
        number + which: sorted(one for outcome in part for one in outcome.recoveries.get(number, []))
        for which, part in parts.items()
        for number in ("SIGKILL", "SIGTERM")
    }


def joined(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns one object for campaigns that ran side by side: counts summed up, percentiles of all samples."""
    first, *others = results
    # Percentiles are made anew: they cannot be added, and where nothing was measured there are none.
    whole = {name: value for name, value in first.items() if name != "recovery_seconds"}
    for result in others:
        whole = {name: _together(value, result[name]) for name, value in whole.items()}
    samples = {name: sorted(found) for name, found in whole["recovery_samples"].items()}
    alone = {"seed": first["seed"], "machine": first["machine"], "recovery_samples": samples}
    alone["recovery_seconds"] = {name: percentiles(found) for name, found in samples.items()}
    return whole | alone | {"good": all(result["good"] for result in results)}


def _together(one: Any, other: Any) -> Any:
    """Adds numbers and lists, and the values of objects by name; of anything else the first stays."""
    if isinstance(one, dict):
        return {
            name: _together(one[name], other[name])
            if name in one and name in other
            else one.get(name, other.get(name))
            for name in {**one, **other}
        }
    return one + other if isinstance(one, int | float | list) else one


def _why(reason: str) -> str:
    """Returns a worker's last words without what differs from run to run."""
    return next((what for words, what in _REASONS.items() if words in reason), reason)
