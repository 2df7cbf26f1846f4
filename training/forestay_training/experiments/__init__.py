"""Experiments read out: who was exposed, what came of it, and what may be concluded when."""
