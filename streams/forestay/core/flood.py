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

    def passed(self) -> None:
        """Counts a record that is well, or failed by no fault of its bytes."""
        self._seen += 1
        if self._seen >= _MEMORY:
            self._seen //= 2
            self._failed //= 2

    def failed(self) -> FloodError | None:
        """Counts a record that failed.

        Returns the error that stops the line if at least 100 of about the last 2,000 records failed, and more
        than the limit's share.
        """
        self._failed += 1
        self.passed()
        if self._failed < _MIN_FAILED or self._failed <= self._limit * self._seen:
            return None
        return FloodError(
            f"{self._failed} of the last {self._seen} records fail their contract; stopped before more of them"
            " reach the dead letters. Look at their reasons with `forestay tail dead-letters`, mend the"
            " producer, or raise engine.dead_letter_limit"
        )
