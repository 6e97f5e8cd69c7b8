"""`rdc plot training`: draws the curves of training runs."""

from argparse import Namespace
from pathlib import Path

from rdc_jax.cli import outputs
from rdc_jax.cli.outputs import Job
from rdc_jax.evaluation.report import curves_plot, training_log, training_plot
from rdc_jax.images import atomic_write


def run(args: Namespace) -> int:
    output = Path(args.output)
    file_format = curves_plot.format_of(output)
    outputs.check_target(Job(args.input[0], str(output)), args.force, may_make_folder=False)
    runs = training_log.read_runs(args.input)
    drawn = training_plot.draw(runs, file_format)
    atomic_write(output, drawn, overwrite=args.force)
    print(output)
    return 0
