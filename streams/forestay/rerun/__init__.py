"""Recordings through the core, with no broker: what would have been decided, or what was (docs/replay.md)."""
