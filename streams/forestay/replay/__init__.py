"""Puts recordings back on topics, at a pace (docs/recording.md)."""
