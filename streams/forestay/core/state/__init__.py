"""What is remembered of a user, in memory and as a record."""
