"""What is to be seen of a worker at work: counts, times, drift; and how Prometheus is told."""
