"""The errors of the embedded parts.

EmbeddedError                 an embedded part cannot serve; the message says what to do
├── ProcessFailedError        a child did not start, was not ready in time, or ended by itself
└── TritonEnvironmentError    the environment of the embedded Triton cannot be made on this machine
"""

from forestay.core.errors import ForestayError


class EmbeddedError(ForestayError):
    """An embedded part cannot serve."""


class ProcessFailedError(EmbeddedError):
    """A child did not start, was not ready in time, or ended by itself; the message holds its last log lines."""


class TritonEnvironmentError(EmbeddedError):
    """The environment of the embedded Triton cannot be made on this machine."""
