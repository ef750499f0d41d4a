"""What is known of users: attributes by source, and their changes."""
