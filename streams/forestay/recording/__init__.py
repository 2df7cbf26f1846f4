"""Recordings of Kafka topics: one format, read by every job that replays (docs/recording.md)."""

from forestay.recording.errors import RecordingError
from forestay.recording.files import open_recording, write_recording
from forestay.recording.messages import SCHEMA, RecordedMessage
from forestay.recording.metadata import RecordingMetadata, Span
from forestay.recording.recording import Recording

__all__ = [
    "SCHEMA",
    "RecordedMessage",
    "Recording",
    "RecordingError",
    "RecordingMetadata",
    "Span",
    "open_recording",
    "write_recording",
]
