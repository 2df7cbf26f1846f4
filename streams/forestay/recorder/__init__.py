"""Records topics of Kafka (docs/recording.md): reads partitions, merges them, and hands rows to `recording`."""
