"""The command `forestay`."""
