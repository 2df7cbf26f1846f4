"""What is known of the shop's items, and which of them a user is shown."""
