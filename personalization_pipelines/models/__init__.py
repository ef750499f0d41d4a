"""Stage 4: models that learn lists of items from the feature tables."""
