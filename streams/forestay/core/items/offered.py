"""The items that an offer shows a user, where its list is one that is filled in here."""

from typing import cast

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.situation import Situation
from forestay.core.families.distinct import Distinct, DistinctPart
from forestay.core.feature_set import FeatureSet
from forestay.core.items.items import Items, ListKind
from forestay.core.items.recommend import Taste, listed_by, recommended
from forestay.core.state.user_state import UserState
from forestay_schemas.types import ActionKind


def lately(state: UserState, features: FeatureSet, now: int) -> tuple[int, ...]:
    """Returns the hashes of the items a user met in the longest window before `now` (ms), the newest last.

    None where the family `distinct` is off.
    """
    place = features.index("distinct")
    if place < 0:
        return ()
    family, part = cast(Distinct, features.families[place]), cast(DistinctPart, state.parts[place])
    since = family.since(len(family.buckets) - 1, now)
    return tuple(part.items.after(since))


def is_filled(offer: Offer) -> bool:
    """Says whether the offer's list is filled in here."""
    return offer.kind is ActionKind.RECOMMENDATION and offer.payload.get("list") in set(ListKind)


def offered_items(offer: Offer, situation: Situation, catalogue: Catalogue) -> list[str]:
    """Returns the items the offer shows the user, the best first; none if its list is the receiver's to fill."""
    if catalogue.items is None or not is_filled(offer):
        return []
    count = int(str(offer.payload.get("count", 6)))
    return _shown(ListKind(str(offer.payload["list"])), count, situation, catalogue.items, catalogue)


def anything_offered(offer: Offer, situation: Situation, catalogue: Catalogue) -> bool:
    """Says whether `offered_items` has any; mostly a popular one tells, without ranking the others."""
    if catalogue.items is None or not is_filled(offer):
        return False
    return any(
        _shown(listed, 1, situation, catalogue.items, catalogue)
        for listed in (ListKind.POPULAR, ListKind(str(offer.payload["list"])))
    )


def _shown(listed: ListKind, count: int, situation: Situation, items: Items, catalogue: Catalogue) -> list[str]:
    return recommended(listed, count, _taste(situation), items, catalogue.switches.items_out_of_stock)


def items_by(offer: Offer, situation: Situation, catalogue: Catalogue) -> ListKind | None:
    """Returns what filled an offer's list `next`: the model, or popularity without it; None of other lists."""
    if catalogue.items is None or not is_filled(offer) or offer.payload["list"] != ListKind.NEXT:
        return None
    return listed_by(ListKind.NEXT, _taste(situation), catalogue.items)


def _taste(situation: Situation) -> Taste:
    return Taste(situation.recent, situation.country, situation.embedding)
