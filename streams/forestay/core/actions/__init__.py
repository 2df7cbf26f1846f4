"""What an action carries: the payload of each kind, as the catalogue has it and filled in for a user."""
