"""`rdc plot curves`: draws rate-quality curves of results files, for papers."""

from argparse import Namespace
from pathlib import Path

from rdc_jax.cli import outputs
from rdc_jax.cli.outputs import Job
from rdc_jax.evaluation.report import curves_plot
from rdc_jax.evaluation.report.curves import read_curves
from rdc_jax.images import atomic_write


def run(args: Namespace) -> int:
    output = Path(args.output)
    file_format = curves_plot.format_of(output)
    outputs.check_target(Job(args.input[0], str(output)), args.force, may_make_folder=False)
    curves = [curve for path in args.input for curve in read_curves(path)]
    drawn = curves_plot.draw_curves(curves, args.metrics, file_format)
    atomic_write(output, drawn, overwrite=args.force)
    print(output)
    return 0
