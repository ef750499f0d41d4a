"""Stage 2: the catalogue and the users, from files into versioned tables of the lake."""
