"""Budgets seen from outside: what is left of them, and how well they would be spent."""
