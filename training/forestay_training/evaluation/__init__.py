"""How good a churn model is, beside its rivals on the same rows: measures, intervals, baselines, report."""
