"""What visitors do becomes events in the log, and the script that sends them."""
