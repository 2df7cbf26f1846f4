"""Faults on a real cluster while traffic flows, and a judge of what came of it (docs/reliability.md)."""
