"""The flood guard: many failing records mean a broken upstream, and the line stops (design D7)."""

from typing import Final

from forestay.core.errors import FloodError

#: Failures needed before a share means anything.
_MIN_FAILED: Final = 100
#: The counts are halved at this many records, so the share is that of about the last 2,000.
_MEMORY: Final = 2_000


class FloodGuard:
    """Watches the share of records that fail in one partition."""

    def __init__(self, limit: float) -> None:
        """`limit`: the share of failing records that stops the line, 1.0 for never."""
        self._limit = limit
        self._failed = 0
        self._seen = 0

    def saw(self, *, failed: bool) -> None:
        """Counts one record.

        Raises:
            FloodError: at least 100 of about the last 2,000 records failed, and more than the limit's share.
        """
        self._seen += 1
        self._failed += failed
        if failed and self._failed >= _MIN_FAILED and self._failed > self._limit * self._seen:
            message = (
                f"{self._failed} of the last {self._seen} records fail their contract; stopped before more of them"
                " reach the dead letters. Look at their reasons with `forestay tail dead-letters`, mend the"
                " producer, or raise engine.dead_letter_limit"
            )
            raise FloodError(message)
        if self._seen >= _MEMORY:
            self._seen //= 2
            self._failed //= 2
