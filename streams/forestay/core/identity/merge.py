"""Two ids turn out to be one user: their states become one, as if all events had been one id's."""

from forestay.core.families.family import capped
from forestay.core.patterns.patterns import PatternMemory, PatternRules
from forestay.core.rewards.pending import merged
from forestay.core.state.consent import merged as merged_consents
from forestay.core.state.contact import MAX_CONTACTS, Contact
from forestay.core.state.held import put_held
from forestay.core.state.user_state import UserState


def merge(into: UserState, other: UserState, name: str, patterns: PatternRules) -> None:
    """Takes `other`, the state of the id `name`, into `into`; `other` is not to be used after.

    Features are those of the events of both. Of consent the newest word on each channel stands. All contacts count,
    so caps and cooldowns are as strict as the stricter of the two. Event ids and orders stay with their id.
    """
    into.last_ts = max(into.last_ts, other.last_ts)
    into.applied = capped(into.applied + other.applied)
    into.duplicates = capped(into.duplicates + other.duplicates)
    for mine, theirs in zip(into.parts, other.parts, strict=True):
        mine.merge(theirs, into.last_ts)
    if other.patterns is not None:
        if into.patterns is None:
            into.patterns = PatternMemory()
        into.patterns.merge(other.patterns, patterns)
    into.contacts = _contacts(into.contacts, other.contacts)
    into.pending = merged(into.pending, other.pending, name)
    into.consents = merged_consents(into.consents, other.consents)
    for one in other.held:
        into.held = put_held(into.held, one)
    if other.score is not None and (into.score is None or other.score.ts > into.score.ts):
        into.score = other.score
    into.scored_ts = max(into.scored_ts, other.scored_ts)
    into.seen_clock = max(into.seen_clock, other.seen_clock)
    _merge_places(into, other)


def _contacts(mine: list[Contact], theirs: list[Contact]) -> list[Contact]:
    both = sorted([*mine, *theirs], key=_when)
    return both[-MAX_CONTACTS:]


def _when(contact: Contact) -> tuple[int, str]:
    return contact.ts, contact.offer_id


def _merge_places(into: UserState, other: UserState) -> None:
    if other.country is not None and (other.country_ts, other.country) > (into.country_ts, into.country or ""):
        into.country, into.country_ts = other.country, other.country_ts
    if other.timezone is not None and (other.timezone_ts, other.timezone) > (into.timezone_ts, into.timezone or ""):
        into.timezone, into.timezone_ts = other.timezone, other.timezone_ts
