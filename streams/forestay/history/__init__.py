"""Events of the past: read from files, brought together by user, and made into features and states by the core."""
