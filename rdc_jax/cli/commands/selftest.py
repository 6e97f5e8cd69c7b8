"""`rdc selftest`: checks that files decode to the same symbols here with every setting."""

import json
import sys
from argparse import Namespace
from typing import Any

from rdc_jax.selftest import matrix


def run(args: Namespace) -> int:
    def progress(name: str) -> None:
        if not args.quiet and not args.json:
            print(f"  {name} ..", file=sys.stderr, flush=True)

    report = matrix.run(args.model, full=args.full, progress=progress)
    print(json.dumps(report) if args.json else describe(report))
    return 0 if report["ok"] else 2


def describe(report: dict[str, Any]) -> str:
    """The table to attach to a bug report."""
    lines = [f"model {report['model']} {report['model_id']}"]
    lines += [f"{name} {version}" for name, version in report["versions"].items()]
    number = report["reference_files"]
    note = "" if number else "; only files encoded here are compared"
    lines += ["", f"{number} reference files come with these weights{note}", ""]
    width = max(len(row["setting"]) for row in report["rows"])
    for row in report["rows"]:
        verdict = row["difference"] or "OK"
        lines.append(
            f"{row['setting']:<{width}}  {row['decoded']:>3} decoded  {verdict}; "
            f"encoding: {row['encoding']}; {row['seconds']:.1f} s"
        )
    verdict = "the same with every setting" if report["ok"] else "NOT the same: please report this"
    return "\n".join([*lines, "", f"symbols, means and values are {verdict}"])
