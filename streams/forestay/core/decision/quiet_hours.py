"""Quiet hours: whether it is quiet where a user lives, and until when.

It is quiet while the clocks of the zone show a time in the hours set: an hour that is skipped in spring is not waited
for, and one that comes twice in autumn is quiet twice.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from forestay.core.decision.guardrail_settings import Guardrails, QuietHours, Weekday
from forestay.core.decision.local_time import local, zone_of
from forestay.core.units import DAY, MINUTE

_WEEKDAYS: Final = tuple(Weekday)
_YESTERDAY: Final = timedelta(days=1)


def is_quiet(hours: QuietHours, shown: datetime) -> bool:
    """Says whether it is quiet when clocks show this; hours over midnight belong to the day on which they begin."""
    minute = shown.hour * 60 + shown.minute
    today, yesterday = (_WEEKDAYS[day.weekday()] in hours.days for day in (shown, shown - _YESTERDAY))
    if hours.begin < hours.until:
        return today and hours.begin <= minute < hours.until
    return (today and minute >= hours.begin) or (yesterday and minute < hours.until)


def quiet_until(hours: QuietHours, zone: ZoneInfo, now: int) -> int:
    """Returns the first moment from `now` on at which it is not quiet, `now` itself if it is not (milliseconds)."""
    moment = now
    while is_quiet(hours, local(zone, moment)):
        moment = _next_change(hours, zone, moment)
    return moment


def _next_change(hours: QuietHours, zone: ZoneInfo, moment: int) -> int:
    """Returns when clocks next show the end of the hours, or when they are next put forward or back, if sooner."""
    shown = local(zone, moment)
    since_midnight = ((shown.hour * 60 + shown.minute) * 60 + shown.second) * 1_000 + shown.microsecond // 1_000
    # At most a day; the end itself, when it is the next day's, counts from the midnight after.
    end = moment + ((hours.until * MINUTE - since_midnight - 1) % DAY + 1)
    offset = shown.utcoffset()
    if local(zone, end).utcoffset() == offset:
        return end
    # Zones change no offset twice in a day: the change lies where halving finds it.
    before, after = moment, end
    while after - before > 1:
        middle = (before + after) // 2
        if local(zone, middle).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


class Quiet(NamedTuple):
    """What quiet hours say of one user at one moment.

    `until` is when they end (milliseconds), the moment itself if it is not quiet; `zone` where that was judged, and
    `unknown` the user's own zone if it is none.
    """

    until: int
    zone: str
    unknown: str | None


def quiet_for(timezone: str | None, now: int, guardrails: Guardrails) -> Quiet | None:
    """Returns what quiet hours say of a user in `timezone` at `now` (milliseconds), None if the shop has none."""
    hours = guardrails.quiet_hours
    if hours is None:
        return None
    own = None if timezone is None else zone_of(timezone)
    zone = own or zone_of(guardrails.timezone)
    assert zone is not None  # noqa: S101 - the catalogue was checked
    return Quiet(quiet_until(hours, zone, now), zone.key, timezone if own is None else None)


def held_until(timezone: str | None, now: int, guardrails: Guardrails) -> int | None:
    """Returns until when what is chosen for a user at `now` waits, None if it does not (milliseconds)."""
    quiet = quiet_for(timezone, now, guardrails)
    hours = guardrails.quiet_hours
    return quiet.until if hours and quiet and hours.then == "hold" and quiet.until > now else None
