"""A made-up shop whose users' rhythms are fitted to a real one, and in which it is known what offers do."""
