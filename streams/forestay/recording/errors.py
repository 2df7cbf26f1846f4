"""What can go wrong with a recording.

ForestayError
├── RecordingError    the file is no recording, is cut off, was altered, or is of a newer format
├── NoRoomError       there is no room for more; what was written before can still be sealed
└── ReplayError       a record could not be put on the topic; `summary` says what was sent before
"""

from forestay.core.errors import ForestayError


class RecordingError(ForestayError):
    """The file is no recording, is cut off, was altered, or is of a newer format."""


class NoRoomError(RecordingError):
    """There is no room for more: the disk, a quota or the largest file allowed; what was written can be sealed."""
