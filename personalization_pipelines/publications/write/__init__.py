"""A publication in the making: from feature tables and models to files."""
