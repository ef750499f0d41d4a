"""The browser tracker in a real browser."""
