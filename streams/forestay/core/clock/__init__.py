"""Event time: timers, when a user is to be looked at, and who is woken."""
