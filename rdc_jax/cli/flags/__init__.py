"""The arguments of the `rdc` command: no command is imported to parse them."""
