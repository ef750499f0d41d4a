"""A question becomes an answer: request, strategy, candidates, filters, response."""
