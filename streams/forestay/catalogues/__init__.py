"""The catalogue as a topic: what was pushed, and which of it counts (docs/catalogue.md)."""
