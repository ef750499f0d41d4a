"""The user API: attributes, and forgetting."""
