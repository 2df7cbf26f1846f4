"""The watch over recordings: what of it was an alarm, when, and a report."""
