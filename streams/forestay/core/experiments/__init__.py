"""Experiments: who is in which arm, by salted hashes alone, and what an arm changes about a decision."""
