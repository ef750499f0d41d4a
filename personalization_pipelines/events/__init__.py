"""Stage 1: what visitors did, from the durable log into the live store and the lake."""
