"""What `rdc selftest` runs: pictures, settings, the process of one setting, and the matrix."""
