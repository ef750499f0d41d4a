"""A publication as the server reads it: mapped arrays, no model code."""
