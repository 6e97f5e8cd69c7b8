"""Arguments of `rdc selftest`."""

from typing import Any

from rdc_jax.cli.flags.shared import json_lines, model, new_command


def add_selftest(commands: Any) -> None:
    p = new_command(
        commands, "selftest", "check that files decode to the same symbols here with every setting",
        epilog="Varies threads, x64, jit, matmul precision, BLAS kernels, devices and back ends, "
        "each in a fresh process. Prints a table to attach to a bug report. Exit code 2 if "
        "anything differs.",
    )  # fmt: skip
    p.add_argument("--full", action="store_true", help="more images and settings; takes minutes")
    model(p)
    json_lines(p)
    p.add_argument("--quiet", action="store_true", help="print only the result")
