"""How content comes in as XML: read strictly, and written again."""
