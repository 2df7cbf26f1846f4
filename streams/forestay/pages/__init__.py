"""The look of every page Forestay writes: its style, its plots, how its figures are put into words."""
