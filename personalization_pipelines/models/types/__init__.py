"""One file a model type: its parameters, what it learns, what explains it."""
