"""Why a decision was taken, and what would have had to be different (docs/why.md)."""
