"""The agent that brings foreign events into the contract."""
