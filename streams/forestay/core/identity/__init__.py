"""Bringing together the ids of one person, over partitions."""
