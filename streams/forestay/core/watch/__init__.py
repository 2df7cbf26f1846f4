"""Drift and calibration, watched in the stream: what is counted, against what, and when it is an alarm."""
