"""Asking a model for churn probabilities: which versions answer whom, and what they say."""
