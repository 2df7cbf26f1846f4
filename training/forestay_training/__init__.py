"""Training: a recording to a churn Transformer in `model_repository/`. Needs the extra `train`."""
