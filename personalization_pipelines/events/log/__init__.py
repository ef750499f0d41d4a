"""The second life of an event: durable segments that every reader tails."""
