"""`rdc plot training`: draws the curves of training runs."""

from argparse import Namespace
from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report import training_log, training_plot
from rdc_jax.images import atomic_write


def run(args: Namespace) -> int:
    output = Path(args.output)
    if output.exists() and not args.force:
        raise RdcError(f"the output '{output}' exists; give -f to replace it")
    runs = training_log.read_runs(args.input)
    drawn = training_plot.draw(runs, output.suffix[1:].lower())
    atomic_write(output, drawn, overwrite=args.force)
    print(output)
    return 0
