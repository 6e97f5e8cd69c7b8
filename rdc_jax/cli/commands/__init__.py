"""The commands of `rdc`: one module each, with a function run(args) -> exit code."""
