"""`rdc eval preference`: which of two images at equal bytes do people prefer?"""

import sys
from argparse import Namespace
from pathlib import Path

from rdc_jax.errors import RdcError
from rdc_jax.evaluation import preference, run_files
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.web import preference_server


def run(args: Namespace) -> int:
    folder = Path(args.out)
    answers = folder / "preference.csv"
    if args.serve:
        if not (folder / "results.json").is_file():
            raise RdcError(f"no results in '{folder}'; run `rdc eval --data ... --out {folder}`")
        points = run_files.read(folder / "results.json")["points"]
        study = preference.pairs(points, seed=args.seed, tolerance=args.tolerance)
        preference_server.serve(study, folder, answers, args.port)
        if not answers.exists():
            print("rdc: no pair was answered", file=sys.stderr)
            return 0
    if not answers.exists():
        raise RdcError(f"there are no answers yet: give --serve (they are stored in '{answers}')")
    rows = []
    for found in preference.summary(answers):
        known = found.share is not None
        share = f"{100 * found.share:.0f} %" if known else "none"
        interval = f"{100 * found.low:.0f} to {100 * found.high:.0f} %" if known else ""
        rows.append((f"{found.first} over {found.second}", share, interval, found.answers))
    print(table(("preferred", "share", "95 %", "answers"), rows))
    return 0
