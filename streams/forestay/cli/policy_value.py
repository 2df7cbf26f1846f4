"""Fits a policy's value to go to logs, for a person who watches or for a machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forestay.catalogue_file import load_catalogue
from forestay.cli.console import console, print_json, printable, table
from forestay.cli.progress import progress
from forestay.core.decision.catalogue import Catalogue, PolicyKind
from forestay_training.offpolicy.own_log import own_log
from forestay_training.offpolicy.records import read_records
from forestay_training.policy.transitions import Transitions, transitions
from forestay_training.policy.value_fitting import FittedValue, Way, fit_value


class WantedValue(NamedTuple):
    """The flags of `forestay policy fit-value` as they were written."""

    log: Sequence[Path]
    out: Path
    catalogue: Path
    reward_function: str | None
    follow_days: float | None
    discount: float
    prior_decisions: float
    doubt: float


def fit_value_to_go(wanted: WantedValue, *, as_json: bool) -> None:
    """Writes the value to go, and prints what it rests on.

    Raises:
        ForestayError: logs or catalogue are wrong, or there is too little to learn from.
        OSError: a file cannot be read or written.
    """
    catalogue = load_catalogue(wanted.catalogue)
    way = Way(wanted.discount, wanted.prior_decisions, wanted.doubt)
    with progress() as tell:
        records = read_records(wanted.log, lambda done: tell("records", done, None))
        own = own_log(records, wanted.reward_function)
        tell("steps", 0, None)
        steps = transitions(own, records, catalogue, wanted.follow_days)
        fitted = fit_value(steps, own.function, catalogue, way)
    wanted.out.write_text(fitted.value.model_dump_json() + "\n")
    left_out = {**own.left_out, "not_followed": steps.unfollowed, "not_in_catalogue": steps.gone}
    found = {
        "out": str(wanted.out),
        "reward_function": own.function,
        "horizon_days": steps.horizon_days,
        "discount": way.discount,
        "steps": len(steps.reward),
        "left": float(steps.left.mean()),
        "rounds": fitted.rounds,
        "mean_value_to_go": fitted.mean,
        "offers": _offers(catalogue, steps, fitted),
        "left_out": left_out,
        "counted_twice": _counted_twice(catalogue, steps.horizon_days),
    }
    if as_json:
        print_json(found)
    else:
        _show(found)


def _offers(catalogue: Catalogue, steps: Transitions, fitted: FittedValue) -> dict[str, Any]:
    """Returns for each offer the decisions that made it, and what its advice comes to over the users of all steps."""
    told = {}
    for number, offer in enumerate(catalogue.offers):
        advice = [fitted.value.of(offer.id, seen) for seen in steps.seen]
        told[offer.id] = {
            "decisions": int((steps.chosen == number).sum()),
            "known": offer.id in fitted.value.heads,
            "mean_advice": sum(advice) / len(advice),
            "without_advice": sum(one == 0 for one in advice) / len(advice),
        }
    return told


def _counted_twice(catalogue: Catalogue, horizon_days: float) -> bool:
    """Says whether the shop's own estimate, which then chooses, counts what lies beyond the horizon already."""
    policy = catalogue.policy
    return policy.kind is PolicyKind.EXPECTED_VALUE and policy.value_days > horizon_days


def _show(found: dict[str, Any]) -> None:
    columns = ("offer", "decisions", "mean advice", "without advice")
    rows = table(*columns, right=columns[1:])
    for offer_id, one in found["offers"].items():
        advice = (f"{one['mean_advice']:+.3g}", f"{one['without_advice']:.0%}") if one["known"] else ("-", "-")
        rows.add_row(printable(offer_id), f"{one['decisions']:,}", *advice)
    console().print(rows)
    left = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found["left_out"].items() if count)
    console().print(f"left out: {left or 'nothing'}")
    console().print(
        f"{found['steps']:,} steps of {found['horizon_days']:g} days, after {found['left']:.1%} the user had left;"
        f" {found['rounds']} rounds at a discount of {found['discount']:g} a week"
    )
    if found["counted_twice"]:
        console().print(
            f"policy.value_days reaches beyond {found['horizon_days']:g} days: with this advice beside it what comes"
            " then counts twice; lower it to the horizon"
        )
    console().print(f"{found['out']}: by {printable(found['reward_function'])}")
