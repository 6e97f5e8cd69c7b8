"""The command line `rdc`."""
