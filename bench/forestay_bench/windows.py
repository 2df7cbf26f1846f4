"""The windows of a load, as the documentation defines them, for the recount."""

from typing import Final, NamedTuple

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Window(NamedTuple):
    """A ring of buckets: at a moment it holds the events whose bucket is one of the newest `buckets` up to its own.

    An event at `ts` is in bucket `ts // bucket_ms`.
    """

    name: str
    bucket_ms: int
    buckets: int


#: Those of the job of the peers: the current hour, 24 hours of which it is the last, 7 days.
JOB_WINDOWS: Final = (Window("1h", HOUR, 1), Window("1d", HOUR, 24), Window("7d", DAY, 7))
#: The engine's own.
FULL_WINDOWS: Final = (
    Window("5m", 25 * SECOND, 12),
    Window("1h", 5 * MINUTE, 12),
    Window("1d", HOUR, 24),
    Window("7d", 12 * HOUR, 14),
    Window("30d", 12 * HOUR, 60),
)
