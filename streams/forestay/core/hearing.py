"""Words of consent from the clickstream: what is wrong with one, and what a user's state takes of it."""

from forestay.core.errors import DeadLetter
from forestay.core.event import CONSENT_GRANTED, Event
from forestay.core.state.consent import EVERY_CHANNEL, MAX_CHANNEL, MAX_CHANNELS, Consent, is_room, told
from forestay.core.state.user_state import UserState


def check_word(event: Event) -> None:
    """Makes sure that a word of consent can be heeded.

    Raises:
        DeadLetter: it grants without naming a channel, or the name is too long.
    """
    channel = event.channel or EVERY_CHANNEL
    if event.kind == CONSENT_GRANTED and channel == EVERY_CHANNEL:
        raise DeadLetter("no_channel", "consent is granted for a channel, and none is named")
    if len(channel) > MAX_CHANNEL:
        raise DeadLetter("no_channel", f"the name of a channel has more than {MAX_CHANNEL} characters")


def hear(state: UserState, event: Event) -> None:
    """Takes a word into the state, late or not; one that names no channel is on every channel.

    Raises:
        DeadLetter: it cannot be heeded, or the user has spoken of too many channels.
    """
    check_word(event)
    channel = event.channel or EVERY_CHANNEL
    if not is_room(state.consents, channel):
        raise DeadLetter("too_many_channels", f"the user has spoken of {MAX_CHANNELS} channels already")
    state.consents = told(state.consents, Consent(channel, event.ts, event.kind == CONSENT_GRANTED))
