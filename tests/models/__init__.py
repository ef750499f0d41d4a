"""Models: the contract that all of them meet, and what each one answers."""
