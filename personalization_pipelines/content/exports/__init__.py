"""How content comes in from a CMS that notifies: fetched, read, tried again."""
