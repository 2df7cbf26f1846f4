"""Policies: how offers that are left are weighed against each other and against doing nothing."""
