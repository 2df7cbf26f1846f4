"""Quiet hours against an oracle that looks at the clock every minute, over changes of clocks of all kinds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forestay.core.decision.guardrail_settings import QuietHours, Weekday
from forestay.core.decision.local_time import zone_of
from forestay.core.decision.quiet_hours import quiet_until
from forestay.core.units import MINUTE, to_milliseconds

DAYS = [day.value for day in Weekday]
#: Half an hour and two hours of summer time, odd offsets, a day left out, Ramadan, none.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kathmandu"]
ZONES += ["Pacific/Apia", "Africa/Casablanca", "Pacific/Chatham", "America/Sao_Paulo", "UTC"]
#: Nights in which the clocks of some of these change (UTC).
CHANGES = ["2025-03-30", "2025-10-26", "2025-03-09", "2025-11-02", "2025-04-05", "2025-10-04", "2011-12-29"]
CHANGES += ["2018-11-04", "2025-02-23", "2024-02-29"]
TIMES = st.one_of(
    st.sampled_from(["00:00", "01:30", "02:00", "02:30", "03:00", "08:00", "21:00"]),
    st.builds(lambda minute: f"{minute // 60:02}:{minute % 60:02}", st.integers(0, 1_439)),
)


def zone(name: str) -> ZoneInfo:
    found = zone_of(name)
    assert found is not None
    return found


def rules(begin: str, until: str, days: list[str] | None = None) -> QuietHours:
    return QuietHours.model_validate({"from": begin, "until": until, "days": days or DAYS})


def seen(begin: str, until: str, days: list[str], place: ZoneInfo, now: datetime) -> datetime:
    """Looks at the clock on the wall, minute by minute, until it is not quiet."""
    while True:
        wall = now.astimezone(place)
        shows = wall.strftime("%H:%M")
        today = DAYS[wall.date().weekday()] in days
        yesterday = DAYS[(wall.date() - timedelta(days=1)).weekday()] in days
        over_midnight = until <= begin
        evening = shows >= begin and (over_midnight or shows < until)
        morning = over_midnight and shows < until
        if not ((today and evening) or (yesterday and morning)):
            return now
        now += timedelta(minutes=1)


@settings(max_examples=150)
@given(
    TIMES,
    TIMES,
    st.lists(st.sampled_from(DAYS), min_size=1, max_size=6, unique=True),
    st.sampled_from(ZONES),
    st.sampled_from(CHANGES),
    st.integers(-1_500, 2_000),
)
def test_it_is_quiet_as_long_as_the_clock_on_the_wall_says_so(  # noqa: PLR0917 - one a dimension
    begin: str, until: str, days: list[str], name: str, night: str, minutes: int
) -> None:
    if begin == until:
        return
    now = datetime.fromisoformat(night).replace(tzinfo=UTC) + timedelta(minutes=minutes)
    found = quiet_until(rules(begin, until, days), zone(name), to_milliseconds(now))
    assert found == to_milliseconds(seen(begin, until, days, zone(name), now))


@pytest.mark.parametrize(
    ("begin", "until", "now", "end"),
    [
        # 02:00 becomes 03:00: half past two never comes.
        ("21:00", "02:30", "2025-03-30T00:10:00.500Z", "2025-03-30T01:00:00Z"),
        ("21:00", "08:00", "2025-03-29T23:00:00Z", "2025-03-30T06:00:00Z"),
        # 03:00 becomes 02:00: half past two comes twice, and two o'clock again.
        ("21:00", "02:30", "2025-10-26T00:10:00Z", "2025-10-26T00:30:00Z"),
        ("21:00", "02:30", "2025-10-26T01:00:00Z", "2025-10-26T01:30:00Z"),
        ("21:00", "08:00", "2025-10-25T20:00:00Z", "2025-10-26T07:00:00Z"),
        ("02:15", "02:45", "2025-03-30T01:00:00Z", "2025-03-30T01:00:00Z"),
    ],
)
def test_a_change_of_clocks_in_berlin(begin: str, until: str, now: str, end: str) -> None:
    moments = [to_milliseconds(datetime.fromisoformat(text)) for text in (now, end)]
    assert quiet_until(rules(begin, until), zone("Europe/Berlin"), moments[0]) == moments[1]


def test_a_weekend_without_a_word_ends_on_monday() -> None:
    weekend = rules("00:00", "24:00", ["sat", "sun"])
    friday = to_milliseconds(datetime(2026, 1, 2, 23, 59, tzinfo=UTC))
    assert quiet_until(weekend, zone("UTC"), friday) == friday
    monday = to_milliseconds(datetime(2026, 1, 5, tzinfo=UTC))
    assert quiet_until(weekend, zone("UTC"), friday + MINUTE) == monday


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../zones", "europe/berlin", "Europe", "\x00"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None
