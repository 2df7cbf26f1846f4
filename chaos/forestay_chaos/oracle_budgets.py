"""Budgets of the catalogue, recounted from the decisions and actions there are (docs/budgets.md)."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import yaml

from forestay_chaos.traffic import CATALOGUE
from forestay_chaos.verdict import Verdict

Made = dict[str, Any]


def check_budgets(decisions: Mapping[str, Made], actions: Mapping[str, Made], verdict: Verdict) -> None:
    """Counts what was taken beyond a limit, in hundredths or points, and actions that were paid otherwise."""
    catalogue = yaml.safe_load(CATALOGUE.read_text())
    budgets = {budget["id"]: budget for budget in catalogue["budgets"]}
    offers = {offer["id"]: offer for offer in catalogue["offers"]}
    taken: Counter[tuple[str, str]] = Counter()
    for decision in decisions.values():
        verdict.budgets_refused += any(one["code"] == "budget_exhausted" for one in decision["suppressed"])
        if decision["action_id"] is None:
            continue
        offer, action = offers[decision["offer_id"]], actions.get(decision["action_id"])
        for name in offer.get("budgets", ()):
            drawn = [draw for draw in decision["budgets"] if draw["budget"] == name]
            day = budgets[name]["period"] == "day"
            period = decision["decided_at"][:10] if day else "campaign"
            amount = sum(draw["amount"] for draw in drawn)
            if [draw["period"] for draw in drawn] != [period] or amount != _due(offer, budgets[name], action, amount):
                verdict.find("budgets_wrong", f"{decision['decision_id']} draws {drawn} of {name} for {period}")
            taken[name, period] += amount
    for (name, period), amount in taken.items():
        beyond = amount - budgets[name]["limit"]
        if beyond > 0:
            verdict.find("budgets_overspent", f"{name}, {period}: {beyond} too many", beyond)


def _due(offer: Made, budget: Made, action: Made | None, drawn: int) -> int:
    """Returns what the action must have drawn; where it is lost that is not known, and told elsewhere."""
    if budget["unit"] == "points":
        return int(offer["cost"]["points"])
    return drawn if action is None else round(action["cost"] * 100)
