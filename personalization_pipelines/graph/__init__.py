"""What every asset of the Dagster graph shares; with the stages' `assets.py` the only code that knows Dagster."""
