"""The commands of `rdc`, one module each, with run(args) -> exit code."""
