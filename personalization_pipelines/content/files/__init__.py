"""How content comes in as files: opened, read, mapped to canonical columns, judged row by row."""
