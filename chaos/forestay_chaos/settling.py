"""When a run may go on: all that was sent is committed, and has been for a while."""

import time
from collections.abc import Callable
from typing import Final

_LOOK_EVERY: Final = 0.3


class Settling:
    """Asks now and then whether all is worked off; `for_seconds` is how long it must stay so."""

    def __init__(self, worked_off: Callable[[], bool], for_seconds: float) -> None:
        """`worked_off` asks the brokers."""
        self._worked_off = worked_off
        self._for_seconds = for_seconds
        self.begin()

    def begin(self) -> None:
        """Starts over: something has happened or was sent."""
        self._began = time.monotonic()
        self._look_at = 0.0
        self._since = 0.0

    @property
    def waited(self) -> float:
        """Returns for how many seconds nothing has happened, and all should be worked off."""
        return time.monotonic() - self._began

    def settled(self) -> bool:
        """Says whether all has been worked off for long enough."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + _LOOK_EVERY
        if not self._worked_off():
            self._since = 0.0
            return False
        self._since = self._since or now
        return now - self._since >= self._for_seconds
