"""Schemas that a registry keeps, and values read by them."""
