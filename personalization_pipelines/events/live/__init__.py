"""The third life of an event: the last days of every visitor in SQL, a second after it happened."""
