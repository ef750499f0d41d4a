"""Contracts of tables become expectations, and expectations become checks of the graph."""
