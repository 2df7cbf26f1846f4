"""What can go wrong with a recording.

ForestayError
├── RecordingError    the file is no recording, is cut off, was altered, or is of a newer format
└── ReplayError       a record could not be put on the topic; `summary` says what was sent before
"""

from forestay.core.errors import ForestayError


class RecordingError(ForestayError):
    """The file is no recording, is cut off, was altered, or is of a newer format."""
