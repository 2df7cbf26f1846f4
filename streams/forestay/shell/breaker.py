"""A circuit breaker: after failures in a row, the server is left alone for a while."""


class CircuitBreaker:
    """Counts failures; times are seconds of any monotonic clock, given by the caller."""

    def __init__(self, failures: int, seconds: float) -> None:
        """Opens after `failures` in a row, for `seconds`."""
        self._limit = failures
        self._seconds = seconds
        self._failures = 0
        self._open_until = float("-inf")

    def allows(self, now: float) -> bool:
        """Says whether a call may be made; after the pause every call is a trial."""
        return now >= self._open_until

    def failed(self, now: float) -> bool:
        """Counts a failure; returns whether this is the one that opens the circuit after a healthy time."""
        self._failures += 1
        if self._failures < self._limit:
            return False
        self._open_until = now + self._seconds
        return self._failures == self._limit

    def succeeded(self) -> bool:
        """Closes the circuit; returns whether it had been open."""
        was_open = self._failures >= self._limit
        self._failures = 0
        self._open_until = float("-inf")
        return was_open
