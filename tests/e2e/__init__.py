"""A whole installation, used as its owner uses it: commands, server process, HTTP, browser."""
