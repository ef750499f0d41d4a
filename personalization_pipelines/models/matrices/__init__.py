"""What models learn from: interactions, user_items, neighbours of items."""
