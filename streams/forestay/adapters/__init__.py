"""Foreign events become click events: a mapping says where each field comes from (docs/adapters.md)."""
