"""What the commands of `cli.py` do beyond calling one stage: progress, tables, the demo."""
