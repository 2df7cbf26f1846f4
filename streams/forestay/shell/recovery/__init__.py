"""Bringing durable state back: what is there, whether it can be believed, and mending what cannot."""
