"""Training: one loop for every task, with explicit state."""
