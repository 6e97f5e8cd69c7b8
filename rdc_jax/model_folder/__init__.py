"""Models on disk: weights, integer entropy tables, identity."""
