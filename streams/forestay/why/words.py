"""An explanation in words, a sentence a line."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from forestay.why.codes import meaning
from forestay.why.counterfactuals import FEATURES

#: Factors and changes are named up to this many; `--json` has all.
_MOST: Final = 5
_HOW: Final = {
    "only": "nothing else could be chosen",
    "likeliest": "the likeliest of all",
    "explored": "not the likeliest: chance took it, to learn what it does",
}


def told(found: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines; those that belong to one before begin with two blanks."""
    trigger = found["trigger"]
    named = f" {trigger['name']}" if trigger["name"] else ""
    yield f"decision {found['decision_id']} on user {found['user_id']} at {found['decided_at']}"
    policy = found["policy"]
    yield f"set off by: {trigger['kind']}{named}; policy {policy['name']}, version {policy['version']}"
    yield from _risk(found)
    yield from _considered(found)
    yield from _cut(found)
    for trial in found["experiments"]:
        would = ", ".join(f"{_offer(offer)} in {arm}" for arm, offer in trial["would"].items())
        yield f"experiment {trial['experiment']}, arm {trial['arm']}: {would}"
    chosen = found["chosen"]
    yield f"chosen: {_offer(chosen['offer_id'])} with probability {chosen['propensity']:.3g}, {_HOW[chosen['how']]}"
    if chosen["items"]:
        by = {
            None: "",
            "next": " by the model's item head",
            "popular": " by popularity, without an embedding to go by",
        }
        yield f"  shows{by[chosen['items_by']]}: {', '.join(chosen['items'])}"
    yield from _outcome(found["outcome"])
    yield from _otherwise(found)


def _offer(offer_id: str | None) -> str:
    return "nothing" if offer_id is None else offer_id


def _risk(found: Mapping[str, Any]) -> Iterator[str]:
    risk = found["risk"]
    yield (
        f"risk: {risk['probability']:.1%} likely not to order within {risk['horizon_days']} days,"
        f" by {risk['model']} {risk['version']} ({risk['rung']})"
    )
    for one in found["factors"][:_MOST]:
        side = "for leaving" if one["log_odds"] > 0 else "for staying"
        yield f"  {one['group'].replace('_', ' ')} speaks {side}: odds times {one['odds']:.3g}"


def _considered(found: Mapping[str, Any]) -> Iterator[str]:
    parity = found["parity"]
    yield (
        "considered:"
        if parity is None
        else f"considered, at the price of parity for {parity['by']} {parity['group']}:"
    )
    for one in found["considered"]:
        yield (
            f"  {_offer(one['offer_id'])}: expected to earn {one['expected_value']:.2f} above its cost,"
            f" probability {one['propensity']:.3g}{_of_which(one)}"
        )


def _of_which(candidate: Mapping[str, Any]) -> str:
    added, price = candidate.get("value_to_go", 0.0), candidate.get("parity_price", 0.0)
    advice = f"; of that {added:+.2f} is advice on the long run" if added else ""
    return f"{advice}; of that {-price:+.2f} is the price of parity" if price else advice


def _cut(found: Mapping[str, Any]) -> Iterator[str]:
    if found["cut"]:
        yield "cut before the choice:"
    for one in found["cut"]:
        words = "" if one["meaning"] == one["code"] else f": {one['meaning']}"
        yield f"  {', '.join(one['offers'])} by {one['code']}{words}"


def _outcome(outcome: Mapping[str, Any] | None) -> Iterator[str]:
    if outcome is None:
        yield "came of it: not known, there is no outcome in what was read"
        return
    came = outcome["fragments"]
    feedback = "".join(f", {kind} {count}" for kind, count in came["feedback"].items())
    early = "" if outcome["complete"] else "; closed early, the user was forgotten"
    yield (
        f"came of it in {outcome['horizon_days']:g} days: {'returned' if came['returned'] else 'did not return'},"
        f" orders {came['orders']}, margin {came['margin']:.2f}, cost {came['cost']:.2f}{feedback};"
        f" reward {outcome['reward']:.2f} by {outcome['function']}{early}"
    )


def _otherwise(found: Mapping[str, Any]) -> Iterator[str]:
    otherwise = found["otherwise"]
    if not otherwise["known"]:
        yield f"otherwise: cannot be told: {otherwise['unknown']}"
        return
    changes = otherwise["changes"]
    if not changes:
        yield "otherwise: no change of one thing on the record leads to another choice"
        return
    yield "otherwise, one thing changed at a time and all else the same:"
    numbers = [one for one in changes if one["thing"] in {"probability", "feature"}]
    for one in numbers[:_MOST]:
        yield f"  had {_number(one)}, {_would(one)}"
    for one in changes:
        if one["thing"] == "draw":
            yield f"  had chance drawn {one['needed']:.4f}, not {one['was']:.4f}, {_would(one)}"
        elif one["thing"] == "rule":
            yield f"  but for the rule {one['name']} ({meaning(one['name'])}), {_would(one)}"


def _number(change: Mapping[str, Any]) -> str:
    if change["thing"] == "probability":
        return f"the risk been {change['needed']:.4%}, not {change['was']:.4%}"
    digits, words, _scale = FEATURES[change["name"]]
    return f"the {words} been {change['needed']:.{digits}f}, not {change['was']:.{digits}f}"


def _would(change: Mapping[str, Any]) -> str:
    if change["offer_id"] is None:
        return "nothing would have been done"
    return f"{change['offer_id']} would have been chosen (probability {change['propensity']:.3g})"
