"""What every view stands on: requests as text, bodies, access, problems, health."""
