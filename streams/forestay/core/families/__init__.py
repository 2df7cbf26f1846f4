"""The feature families: each a file with what it remembers of a user, how an event changes it, and its features."""
