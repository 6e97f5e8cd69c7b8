"""The `rdc` command: finds the command to run and reports its errors.

Each command is a module of `rdc_jax.cli.commands` with a function run(args) -> exit code. It is
imported only when it is called, so only commands that run a network start JAX.
"""

import argparse
import importlib
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from rdc_jax import __version__, installation
from rdc_jax.cli import platforms, remote_arguments, standard_streams
from rdc_jax.cli.flags import checking, coding, measuring, studio, training
from rdc_jax.cli.standard_streams import of_system, one_line
from rdc_jax.errors import RdcError, naming_flags

FAILED, BROKEN_PIPE, INTERRUPTED = 2, 1, 130
_NUMBERS = re.compile(r"-[\d.]+(,-?[\d.]+)+")  # a value that begins with a minus
# Commands that can run without JAX; the others refuse before they start.
WITHOUT_JAX = {
    *("data", "decode", "detectors", "export_model", "info", "models"),
    *("plot_curves", "plot_training", "preference", "roi"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code, which is 2 after an error.

    An RdcError, and what the operating system refuses, is reported in one line. Any other exception
    is a bug and keeps its traceback.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by XLA when JAX is imported
    # Orbax logs every checkpoint, and every failure once per thread; failures are also raised.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it also raises what it logs about a file
    standard_streams.prepare()
    try:
        args = build_parser().parse_args(arguments)
        _refuse_empty(args)
        remote_arguments.refuse(args)
        platforms.skip_absent_tpu()
        if args.module not in WITHOUT_JAX:
            installation.check_jax()
        with naming_flags(), installation.explain_missing():
            code = importlib.import_module(f"rdc_jax.cli.commands.{args.module}").run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except RdcError as error:
        print("rdc: error:", one_line(error), file=sys.stderr)
        return FAILED
    except MemoryError:
        print("rdc: error: not enough memory; use a smaller image or crop", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # `rdc info FILE | head`
        _discard_output()
        return BROKEN_PIPE
    except OSError as error:  # of a file, folder or stream that no command expected to fail
        print("rdc: error:", one_line(of_system(error)), file=sys.stderr)
        _discard_output()
        return FAILED
    except KeyboardInterrupt:
        print("rdc: interrupted", file=sys.stderr)
        return INTERRUPTED


def _refuse_empty(args: argparse.Namespace) -> None:
    """Raises RdcError for an empty argument: as a path, it would mean the current folder."""
    for given in vars(args).values():
        if "" in (given if isinstance(given, list | tuple) else [given]):
            raise RdcError("an argument is empty; is a shell variable not set?")


def _discard_output() -> None:
    """Lets Python close standard output at the end, even if nobody takes what is left in it."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _with_numbers_joined(args: Sequence[str]) -> list[str]:
    """The arguments with `--option -10,0` as `--option=-10,0`, which argparse takes for a value."""
    joined: list[str] = []
    for word in args:
        if joined and joined[-1].startswith("--") and _NUMBERS.fullmatch(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line, like any other error.

    Commands with a config take its settings (key=value or --config.key=value) anywhere between
    their options, in the order of the command line. Values such as -10,0,50,50 may begin with a
    minus.
    """

    def parse_known_args(self, args=None, namespace=None):
        args = _with_numbers_joined(sys.argv[1:] if args is None else args)
        found, rest = super().parse_known_args(args, namespace)
        if hasattr(found, "overrides"):
            settings = {word for word in rest if re.match(r"(--config\.)?\w[\w.]*=", word)}
            rest = [word for word in rest if word not in settings]
            settings |= set(found.overrides)
            found.overrides = [word for word in args if word in settings] or found.overrides
        return found, rest

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
