"""The arguments of the `rdc` command; parsing them imports no command."""
