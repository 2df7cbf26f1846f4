"""Caps over rolling windows and cooldowns: how often a user may be met, over all offers, by channel and by kind.

A window is (now - days, now]: a contact exactly `days` old has left it. A memory that is full cannot vouch for what
lies before its oldest contact, so a window that reaches further back counts as full. A contact whose kind or channel
is not known, since its record is of before they were kept and its offer is gone, counts in every window.
"""

from collections.abc import Callable, Iterator, Sequence

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.guardrail_settings import Cap
from forestay.core.state.contact import MAX_CONTACTS, Contact
from forestay.core.units import DAY


class ContactRules:
    """What a user's contacts forbid at one moment; worked out once for all offers of a catalogue."""

    def __init__(self, contacts: Sequence[Contact], now: int, catalogue: Catalogue) -> None:
        """`contacts` are those remembered, oldest first; `now` in milliseconds."""
        rules = catalogue.guardrails
        self._now = now
        self._contacts = [_told(contact, catalogue) for contact in contacts]
        self._marketing = [contact for contact in self._contacts if contact.marketing]
        self._full_caps = [cap for cap in rules.every_cap() if self._is_full(cap)]
        self._cooling = self._met(rules.cooldown_days, self._marketing) >= 1
        self._cooling_kinds = {
            kind for kind, days in rules.kind_cooldown_days.items() if self._is_full(Cap(max=1, days=days, kind=kind))
        }

    def codes(self, offer: Offer) -> Iterator[str]:
        """Yields the codes of the rules over all offers that a contact by this marketing offer would break."""
        if self._cooling:
            yield "cooldown"
        for cap in self._full_caps:
            if cap.channel in {None, offer.channel} and cap.kind in {None, offer.kind}:
                yield cap.code
        if offer.kind in self._cooling_kinds:
            yield "kind_cooldown"

    def is_cooling(self, offer: Offer) -> bool:
        """Says whether the same offer was made too lately."""
        return self._met(offer.cooldown_days, self._contacts, lambda contact: contact.offer_id == offer.id) >= 1

    def _is_full(self, cap: Cap) -> bool:
        return self._met(cap.days, self._marketing, lambda contact: _counts(contact, cap)) >= cap.max

    def _met(
        self, days: float, contacts: Sequence[Contact], counts: Callable[[Contact], bool] = lambda _: True
    ) -> float:
        """Returns how many contacts lie in the window, without end if not all that may lie in it are remembered."""
        since = self._now - days * DAY
        if len(self._contacts) == MAX_CONTACTS and self._contacts[0].ts > since:
            return float("inf")
        return sum(contact.ts > since and counts(contact) for contact in contacts)


def _told(contact: Contact, catalogue: Catalogue) -> Contact:
    """Returns a contact with kind and channel, of before they were kept as the catalogue has its offer now."""
    if contact.kind:
        return contact
    offer = catalogue.offer(contact.offer_id)
    if offer is None:
        return contact
    return Contact(contact.ts, contact.offer_id, offer.channel, offer.kind, offer.marketing)


def _counts(contact: Contact, cap: Cap) -> bool:
    return not contact.kind or (cap.channel in {None, contact.channel} and cap.kind in {None, contact.kind})
