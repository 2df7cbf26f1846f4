"""Filling users' state from history, while no worker is at work."""
