"""Local time in IANA zones, from the pinned package `tzdata`: the same on every machine, whatever its own tables say.

Reading the package's tables is like importing its code: nothing outside the installed distribution is asked.
"""

from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from forestay.core.units import to_datetime

#: Zones of whose names a worker remembers the answer; names come from events, and may be anything.
_REMEMBERED: Final = 1_024


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@lru_cache(maxsize=_REMEMBERED)
def zone_of(name: str) -> ZoneInfo | None:
    """Returns the zone of an IANA name, None if there is none."""
    if name not in _names():
        return None
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as table:
        return ZoneInfo.from_file(table, key=name)


def local(zone: ZoneInfo, moment: int) -> datetime:
    """Returns what clocks in the zone show at a moment (milliseconds since the epoch)."""
    return to_datetime(moment).astimezone(zone)
