"""The imperative shell: Faust, Kafka and Triton around the core."""
