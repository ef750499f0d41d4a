"""The SELECT statements that make feature tables, and their contracts (data, no code)."""
