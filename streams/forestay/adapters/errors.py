"""What can end the mapping of one record; both are control, not faults."""

from forestay.core.errors import ForestayError


class ConversionError(ForestayError):
    """A value cannot be what its field needs; the message leaves the value out: it may be personal."""


class SkipRecord(ForestayError):  # noqa: N818 - control flow, not a fault
    """The record is no event of a shop; str() is the reason it is counted under."""
