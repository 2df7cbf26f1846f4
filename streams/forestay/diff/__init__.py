"""What two policies, models or versions do differently with the same recordings (docs/replay.md)."""
