"""What can go wrong, and what to do about it."""


class BenchError(Exception):
    """Root of the bench's errors; its text says what to do."""


class PeerUnavailableError(BenchError):
    """A peer cannot run on this machine; the others can."""


class EngineMissingError(BenchError):
    """The product's own worker cannot do the job as asked: nothing can be compared."""


class RunFailedError(BenchError):
    """A worker ended early, or stood still."""
