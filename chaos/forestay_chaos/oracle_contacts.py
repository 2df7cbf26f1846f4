"""Caps and cooldowns of the catalogue, recounted from the actions there are (docs/catalogue.md)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from forestay_chaos.oracle_truth import milliseconds
from forestay_chaos.traffic import CATALOGUE, DAY
from forestay_chaos.verdict import Verdict

Made = dict[str, Any]


def check_contacts(decisions: Iterable[Made], actions: Iterable[Made], verdict: Verdict) -> None:
    """Counts the actions that a guardrail of the catalogue forbids; each action at most once."""
    catalogue = yaml.safe_load(CATALOGUE.read_text())
    rules = catalogue["guardrails"]
    cooldowns = {offer["id"]: offer["cooldown_days"] * DAY for offer in catalogue["offers"]}
    held_out = {decision["user_id"] for decision in decisions if decision["holdout"]}
    contacts: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for action in actions:
        contacts[action["user_id"]].append((milliseconds(action["decided_at"]), action["offer_id"]))
    for user, made in contacts.items():
        made.sort()
        for place, contact in enumerate(made):
            rule = "holdout" if user in held_out else _broken_rule(made[:place], contact, rules, cooldowns)
            if rule is not None:
                verdict.find("caps_overspent", f"{user}: {contact} against {rule}")


def _broken_rule(
    earlier: Sequence[tuple[int, str]], contact: tuple[int, str], rules: Made, cooldowns: dict[str, float]
) -> str | None:
    """Returns the first guardrail that forbids a contact after the `earlier` ones."""
    now, offer = contact
    if earlier and now - earlier[-1][0] < rules["cooldown_days"] * DAY:
        return "cooldown"
    if sum(ts > now - rules["cap_days"] * DAY for ts, _ in earlier) >= rules["cap_contacts"]:
        return "frequency_cap"
    if any(ts > now - cooldowns[offer] for ts, name in earlier if name == offer):
        return "offer_cooldown"
    return None
