"""The first life of an event: a call is judged, and accepted, put aside or refused."""
