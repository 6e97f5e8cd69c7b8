"""Units of images and timesteps, shared by every array library."""

PIXEL_RANGE = 127.5
"""8-bit levels per unit of an image in [-1, 1]: x = pixel / PIXEL_RANGE - 1."""

MAX_TIMESTEP = 1000
"""The last timestep; the first is 0."""
