"""What the codes of guardrails mean, in words. A code that is not here is shown as it is."""

from collections.abc import Mapping
from typing import Final

#: By code: why the offer was not to be made, as the end of "was cut, since ...".
MEANINGS: Final[Mapping[str, str]] = {
    "holdout": "the user belongs to the holdout, whom nothing is sent so that there is something to compare with",
    "no_consent": "the user has not consented to the channel",
    "cooldown": "the user was contacted too short a time ago",
    "kind_cooldown": "the user was contacted with an action of this kind too short a time ago",
    "frequency_cap": "the user has had as many contacts as the cap allows in its window",
    "channel_cap": "the user has had as many contacts on this channel as the cap allows in its window",
    "kind_cap": "the user has had as many actions of this kind as the cap allows in its window",
    "quiet_hours": "it is night where the user lives, and the action may not or cannot wait for the morning",
    "one_waiting": "another action already waits for the end of the user's quiet hours",
    "too_late": "the moment was found so late that the offer would have expired",
    "not_for_this_trigger": "the offer is not for what set the decision off",
    "risk_too_low": "the probability of leaving is below what the offer is for",
    "too_few_orders": "the user has fewer orders than the offer asks for",
    "too_little_spend": "the user has spent less than the offer asks for",
    "other_country": "the offer is not for the user's country",
    "other_tier": "the offer is not for the user's tier",
    "margin_too_low": "the offer would leave too little margin on an average basket",
    "not_yet_available": "the offer is not available yet",
    "no_longer_available": "the offer is not available any more",
    "no_longer_offered": "the offer has left the catalogue since",
    "out_of_stock": "what is offered is out of stock",
    "nothing_to_recommend": "no item that is in stock and new to the user fits the list",
    "paused": "the offer, its kind or everything is paused by a switch",
    "review_risk": "there are signs of abuse, and nothing worth money is offered until someone has looked",
    "nothing_to_review": "there are no signs of abuse for someone to look at",
    "offer_cooldown": "the same offer was made to the user too short a time ago",
    "budget_exhausted": "the budgets it is paid from do not cover it",
    "experiment_arm": "the arm of an experiment takes the offer away",
}


def meaning(code: str) -> str:
    """Returns the words for a code, the code itself where there are none."""
    return MEANINGS.get(code, code)
