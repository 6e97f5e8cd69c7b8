"""Importance masks and maps: shapes, detectors and saliency, levels, timesteps, simplification."""
