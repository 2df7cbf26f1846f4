"""The parts that make one machine enough: a Kafka-compatible broker, a Triton server, and their supervision.

Everything here listens on loopback only and keeps nothing: what the broker holds ends with its process.
"""
