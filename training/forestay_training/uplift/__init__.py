"""Uplift: whom a treatment moves, told from a campaign whose arms were drawn by chance."""
