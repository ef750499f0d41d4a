"""Erasure: a visitor is forgotten in the log, the live store, the lake, features, models and publications."""
