"""Versions of a model in a repository for Triton: admitted through gates, promoted, tried on some, taken back."""
