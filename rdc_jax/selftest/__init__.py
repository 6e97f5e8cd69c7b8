"""The work of `rdc selftest`: images, settings, the process of one setting, and the matrix."""
