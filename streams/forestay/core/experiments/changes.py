"""What arms make of a catalogue."""

from collections.abc import Sequence

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.experiments.settings import Change
from forestay_schemas.decision import Suppressed


def altered(catalogue: Catalogue, changes: Sequence[Change]) -> Catalogue:
    """Returns the catalogue under all of `changes`: the offers that each allows, the policy as they set it.

    What is no marketing stays: an answer that a user is waiting for is no matter of chance.

    Raises:
        pydantic.ValidationError: a change sets the policy to what it cannot be.
    """
    offers = [
        offer
        for offer in catalogue.offers
        if not offer.marketing or all(_allows(change, offer) for change in changes)
    ]
    policy = catalogue.policy
    for change in changes:
        if change.policy:
            policy = type(policy).model_validate({**policy.model_dump(), **change.policy})
    # A copy without validation: a catalogue of a file has an offer, an arm may have none.
    return catalogue.model_copy(update={"offers": offers, "policy": policy})


def _allows(change: Change, offer: Offer) -> bool:
    return change.act and (change.offers is None or offer.id in change.offers)


def taken_out(catalogue: Catalogue, under: Catalogue) -> list[Suppressed]:
    """Returns the offers that arms took out of the catalogue, as the decision tells them."""
    kept = {offer.id for offer in under.offers}
    return [
        Suppressed(offer_id=offer.id, kind=offer.kind, code="experiment_arm")
        for offer in catalogue.offers
        if offer.id not in kept
    ]
