"""How good a model is on what visitors did after it had to stop learning."""
