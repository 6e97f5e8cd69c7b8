"""Training: one loop, three stages, explicit state."""
