"""`rdc plot curves`: draws rate-quality curves of results files, for papers."""

from argparse import Namespace
from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.evaluation.report import curves_plot
from rdc_jax.evaluation.report.curves import read_curves
from rdc_jax.images import atomic_write


def run(args: Namespace) -> int:
    output = Path(args.output)
    if output.exists() and not args.force:
        raise RdcError(f"the output '{output}' exists; give -f to replace it")
    curves = [curve for path in args.input for curve in read_curves(path)]
    drawn = curves_plot.draw_curves(curves, args.metrics, output.suffix[1:].lower())
    atomic_write(output, drawn, overwrite=args.force)
    print(output)
    return 0
