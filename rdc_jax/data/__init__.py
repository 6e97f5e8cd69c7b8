"""Training data: image sources, random importance maps, and the grain pipeline."""
