"""The content API: catalogue, notifications, import history."""
