"""The bench: one stateful job on real Apache Kafka, done by this engine and by its peers, measured and checked."""
