"""Event time: timers, and when a user is to be looked at."""
