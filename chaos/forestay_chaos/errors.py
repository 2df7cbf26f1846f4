"""What can go wrong with the harness itself, and what to do about it."""


class ChaosError(Exception):
    """The harness could not do its work: nothing is said about the engine."""
