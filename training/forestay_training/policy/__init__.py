"""Policies fitted to logs, off line."""
