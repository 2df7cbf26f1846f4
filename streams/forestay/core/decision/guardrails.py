"""Guardrails: rules that remove offers before the policy may choose (design D11, `docs/guardrails.md`)."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from forestay.core.decision.catalogue import Catalogue, Offer
from forestay.core.decision.contact_rules import ContactRules
from forestay.core.decision.eligibility import not_eligible
from forestay.core.decision.quiet_hours import quiet_for
from forestay.core.decision.situation import Situation
from forestay.core.hashing import unit_interval
from forestay.core.state.consent import word_on
from forestay.core.state.contact import Contact
from forestay.core.units import HOUR
from forestay_schemas.decision import Suppressed


def in_holdout(user_id: str, catalogue: Catalogue) -> bool:
    """Says whether the user is never to be marketed to: a hash anyone can recompute from id and salt."""
    return unit_interval(catalogue.guardrails.salt, user_id) < catalogue.guardrails.holdout


class Room(NamedTuple):
    """Whether an action may wait with the user: none may where one waits already, or where the user is forgotten."""

    waiting: bool = False
    forgotten: bool = False


#: An action may wait.
ROOM: Final = Room()


class Screen:
    """All rules of a catalogue, for one user at one moment."""

    def __init__(
        self,
        situation: Situation,
        contacts: Sequence[Contact],
        probability: float,
        catalogue: Catalogue,
        room: Room = ROOM,
    ) -> None:
        """`contacts` are those remembered, oldest first."""
        self._situation = situation
        self._catalogue = catalogue
        self._probability = probability
        self._room = room
        self._contacts = ContactRules(contacts, situation.now, catalogue)
        self.holdout = in_holdout(situation.user_id, catalogue)
        self.quiet = quiet_for(situation.timezone, situation.clock, catalogue.guardrails)

    def all(self) -> tuple[list[Offer], list[Suppressed]]:
        """Returns the offers that may be made now, and the others each with the first rule that removed it."""
        allowed: list[Offer] = []
        suppressed: list[Suppressed] = []
        for offer in self._catalogue.offers:
            code = self.code(offer, self._situation.now + round(offer.expires_after_hours * HOUR))
            if code is None:
                allowed.append(offer)
            else:
                suppressed.append(Suppressed(offer_id=offer.id, kind=offer.kind, code=code))
        return allowed, suppressed

    def code(self, offer: Offer, expires: int) -> str | None:
        """Returns the code of the first rule that forbids the offer, which expires at `expires` (milliseconds)."""
        return next(self._broken(offer, expires), None)

    def held_until(self, offer: Offer) -> int | None:
        """Returns until when the offer must wait, None if it need not (milliseconds)."""
        if offer.marketing and self.quiet is not None and self.quiet.until > self._situation.clock:
            return self.quiet.until
        return None

    def _broken(self, offer: Offer, expires: int) -> Iterator[str]:
        situation, switches = self._situation, self._catalogue.switches
        if switches.stops(offer.id, offer.kind):
            yield "paused"
        if offer.marketing:
            if self.holdout:
                yield "holdout"
            if not self._is_consented(offer):
                yield "no_consent"
            yield from self._contacts.codes(offer)
            if self._room.waiting:
                yield "one_waiting"
        # A silence may be found long after it was due, when the clock of a quiet partition moves on.
        if situation.clock >= expires:
            yield "too_late"
        yield from not_eligible(offer, situation, self._probability, self._catalogue)
        if self._contacts.is_cooling(offer):
            yield "offer_cooldown"
        until = self.held_until(offer)
        if until is not None and (self._room.forgotten or self._drops() or until >= expires):
            yield "quiet_hours"

    def _is_consented(self, offer: Offer) -> bool:
        """Says whether the user may be met on the offer's channel; a withdrawal is heeded on any channel."""
        word = word_on(self._situation.consents, offer.channel)
        if word is not None:
            return word.granted
        rules = self._catalogue.guardrails.consent
        return offer.channel not in rules.required or rules.default == "granted"

    def _drops(self) -> bool:
        hours = self._catalogue.guardrails.quiet_hours
        return hours is not None and hours.then == "drop"


def screen(
    situation: Situation, contacts: Sequence[Contact], probability: float, catalogue: Catalogue
) -> tuple[list[Offer], list[Suppressed]]:
    """Returns the offers that may be made now, and the others each with the first rule that removed it."""
    return Screen(situation, contacts, probability, catalogue).all()
