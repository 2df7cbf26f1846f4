"""What a user allows and forbids: the newest word on each channel.

The newest moment wins, in whatever order the words arrive; of two at the same moment the withdrawal.
"""

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from forestay.core.packing import RecordReader, RecordWriter

#: Channels remembered a user; the shop's own are a handful.
MAX_CHANNELS: Final = 16
#: Characters of a channel's name in a word of consent.
MAX_CHANNEL: Final = 100
#: Stands for every channel: a withdrawal that names none.
EVERY_CHANNEL: Final = ""


@mypyc_attr(acyclic=True)
class Consent:
    """The newest word on a channel: when (milliseconds), and whether it was granted or withdrawn. Never changed."""

    __slots__ = ("channel", "granted", "ts")

    def __init__(self, channel: str, ts: int, granted: bool) -> None:
        """Keeps the three."""
        self.channel = channel
        self.ts = ts
        self.granted = granted


def told(consents: list[Consent], one: Consent) -> list[Consent]:
    """Returns the words after one more was told, by channel; as they were if a newer one stands."""
    kept: list[Consent] = []
    for other in consents:
        if other.channel != one.channel:
            kept.append(other)
        elif _stands(other, one):
            return consents
    kept.append(one)
    kept.sort(key=_channel)
    return kept


def is_room(consents: list[Consent], channel: str) -> bool:
    """Says whether a word on this channel can be remembered."""
    return len(consents) < MAX_CHANNELS or channel in [one.channel for one in consents]


def word_on(consents: Sequence[Consent], channel: str) -> Consent | None:
    """Returns the word that stands for a channel, its own or that on every channel; None if none was said."""
    found: Consent | None = None
    for one in consents:
        if one.channel in {channel, EVERY_CHANNEL} and (found is None or _stands(one, found)):
            found = one
    return found


def kept_for_ever(consents: list[Consent]) -> list[Consent]:
    """Returns what stays when all else of a user is forgotten: everything, if anything was withdrawn."""
    return consents if any(not one.granted for one in consents) else []


def merged(mine: list[Consent], theirs: list[Consent]) -> list[Consent]:
    """Returns the words of two ids that are one user; beyond the bound the withdrawn and the newest are kept."""
    for one in theirs:
        mine = told(mine, one)
    if len(mine) > MAX_CHANNELS:
        mine = sorted(mine, key=_weight)[-MAX_CHANNELS:]
        mine.sort(key=_channel)
    return mine


def write_consents(writer: RecordWriter, consents: list[Consent], latest: int) -> None:
    """Writes all, moments as distances from `latest` (milliseconds)."""
    writer.number(len(consents))
    for one in consents:
        writer.text(one.channel)
        writer.number(latest - one.ts)
        writer.number(1 if one.granted else 0)


def read_consents(reader: RecordReader, latest: int) -> list[Consent]:
    """Reads what `write_consents` wrote.

    Raises:
        StateError: it is no such thing.
    """
    consents: list[Consent] = []
    for _ in range(reader.count(MAX_CHANNELS)):
        channel = reader.text()
        ts = reader.moment(latest)
        consents.append(Consent(channel, ts, reader.count(1) == 1))
    return consents


def _stands(one: Consent, other: Consent) -> bool:
    """Says whether the first of two words stands."""
    return one.ts > other.ts or (one.ts == other.ts and (other.granted or not one.granted))


def _channel(one: Consent) -> str:
    return one.channel


def _weight(one: Consent) -> tuple[bool, int, str]:
    return not one.granted, one.ts, one.channel
