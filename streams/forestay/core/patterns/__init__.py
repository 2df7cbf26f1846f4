"""Triggers of the form 'A and then not B within T'."""
