"""Money and points that cannot be overspent (design D12): shares of partitions, reservations, prices. No I/O."""
