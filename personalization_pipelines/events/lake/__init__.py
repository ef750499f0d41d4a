"""The fourth life of an event: Parquet by day of arrival, exactly once."""
