"""Rewards: what came of each decision, joined from the same stream (`docs/rewards.md`)."""
