"""What everything stands on: errors, durable files, identifiers, hashes, money, time spans, the home directory."""
