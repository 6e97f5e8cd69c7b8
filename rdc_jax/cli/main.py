"""The `rdc` command: finds the command to run and reports its errors.

Each command is a module of `rdc_jax.cli.commands` with a function run(args) -> exit code. It is
imported only when it is called, so only commands that run a network start JAX.
"""

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from rdc_jax import __version__
from rdc_jax.cli.flags import checking, coding, measuring, studio, training
from rdc_jax.errors import RdcError

FAILED, BROKEN_PIPE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code, which is 2 after an error.

    An RdcError is reported in one line. Any other exception is a bug and keeps its traceback.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by XLA when JAX is imported
    # Orbax logs every checkpoint, and every failure once per thread; failures are also raised.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it also raises what it logs about a file
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be Unicode
    try:
        args = build_parser().parse_args(arguments)
        code = importlib.import_module(f"rdc_jax.cli.commands.{args.module}").run(args)
        sys.stdout.flush()
        return code
    except RdcError as error:
        print("rdc: error:", *str(error).split(), file=sys.stderr)
        return FAILED
    except MemoryError:
        print("rdc: error: not enough memory; use a smaller image or crop", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # `rdc info FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("rdc: interrupted", file=sys.stderr)
        return INTERRUPTED


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line, like any other error."""

    def error(self, message: str) -> NoReturn:
        raise RdcError(f"{message}; see `{self.prog} --help`")


def build_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(prog="rdc", description="Region-adaptive diffusion image compression.")
    parser.add_argument("--version", action="version", version=f"rdc {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for add in (
        *(coding.add_encode, coding.add_decode, coding.add_roi, coding.add_info),
        coding.add_inpaint,
        studio.add_studio,
        *(measuring.add_eval, measuring.add_plot),
        *(training.add_train, training.add_data),
        *(coding.add_models, coding.add_detectors, coding.add_demo),
        *(training.add_import, training.add_export),
        checking.add_selftest,
    ):
        add(commands)
    return parser
