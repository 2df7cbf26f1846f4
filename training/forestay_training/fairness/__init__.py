"""Who is made offers, what they are worth, and whether one group gets less than others."""
