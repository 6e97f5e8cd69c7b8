"""Image metrics: what they need, their names and directions."""
