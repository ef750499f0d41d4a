"""Stage 5: scenario plans and the publication that the server reads."""
