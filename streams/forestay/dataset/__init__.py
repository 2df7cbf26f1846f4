"""Training sets from events: what the model is sent, at many cutoffs, with labels and a split in time."""
