"""What goes with what, learned from orders and titles, and judged on later orders."""
