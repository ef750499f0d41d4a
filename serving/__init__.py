"""The thin HTTP side: tracks events into the log and answers from what was published."""
