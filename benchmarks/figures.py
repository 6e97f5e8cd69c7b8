"""Measure every table of README.md and docs/ with one command.

    python benchmarks/figures.py --data EVAL_PHOTOS --training PHOTOS --out figures [--write]

Runs the documented commands one after the other, which takes about an hour on two cores with the
ablations. Run the same command again after an interruption to continue. The tables are printed as
Markdown and saved in DIR/figures.md. With --write they also replace the tables between the markers

    <!-- figures: NAME -->
    <!-- end of NAME -->

in README.md, docs/results.md and docs/ablations.md. Without --training, the ablations are skipped.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import modules
import speed
from figure_tables import (
    EVEN,
    FAITHFUL,
    ablation_table,
    bd_table,
    judges_table,
    quality_table,
    region_table,
    speed_table,
    tau_table,
)

from rdc_jax.cli import main as rdc
from rdc_jax.errors import RdcError
from rdc_jax.images import atomic_write

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "docs/results.md", "docs/ablations.md")

# Arguments of `rdc eval` by name of the run. README.md and docs/results.md show the same commands.
EVALUATIONS = {
    "quality": ["--taus", "0,1", "--qualities", "0,15,30,45,60,75,90,100", "--window", "0.15,0.8"],
    "region": ["--codecs", "rdc", "--qualities", "20,50", "--masks", "center",
               "--anchors", EVEN],
    "tau": ["--codecs", "rdc", "--qualities", "15,40,65", "--taus", "0,0.25,0.5,0.75,1",
             "--anchors", FAITHFUL],
}  # fmt: skip


# By name: the run that provides the results, and the function that makes the table.
TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "quality": ("quality", quality_table),
    "bd-rate": ("quality", bd_table),
    "region": ("region", region_table),
    "tau": ("tau", tau_table),
    "judges": ("judges", judges_table),
    "speed": ("speed", speed_table),
    "ablations": ("ablations", ablation_table),
}


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Run or continue one command and return its results, or None if it is not requested."""
    folder = Path(arguments.out) / name
    common = ["--data", arguments.data, "--out", str(folder)]
    if arguments.limit:
        common += ["--limit", str(arguments.limit)]
    model = ["--model", arguments.model] if arguments.model else []
    if name == "speed":
        file = Path(arguments.out) / "speed.json"
        code = speed.main([*model, "--out", str(file), "--repeats", str(arguments.repeats)])
    elif name == "judges":
        file = Path(arguments.out) / "judges.json"
        limit = ["--limit", str(arguments.limit)] if arguments.limit else []
        data = ["--data", arguments.data, *limit]
        code = modules.main([*model, *data, "--avif", "--out", str(file)])
    elif name == "ablations":
        if not arguments.training:
            return None
        file = folder / "ablations.json"
        settings = [f"init_from={arguments.model or 'tiny'}", f"data.path={arguments.training}"]
        code = rdc.main(["eval", "ablations", "--config", arguments.config, *common, *settings])
    else:
        file = folder / "results.json"
        code = rdc.main(["eval", *common, *model, *EVALUATIONS[name]])
    if code:
        raise RdcError(f"'{name}' ended with exit code {code}; fix that and run again")
    return json.loads(file.read_text(encoding="utf-8"))


def replaced(text: str, tables: dict[str, str]) -> str:
    """The document with new tables between their markers. Other tables stay."""
    for name, body in tables.items():
        start, end = f"<!-- figures: {name} -->", f"<!-- end of {name} -->"
        pattern = re.escape(start) + ".*?" + re.escape(end)
        new = f"{start}\n\n{body}\n\n{end}"
        text = re.sub(pattern, lambda _, new=new: new, text, flags=re.DOTALL)
    return text


def run(arguments: argparse.Namespace) -> dict[str, str]:
    """All tables by name. Writes figures.md and, with --write, the documents."""
    results: dict[str, Any] = {}
    tables: dict[str, str] = {}
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    for name in arguments.only:
        source, make = TABLES[name]
        if source not in results:
            results[source] = measure(source, arguments)
        if results[source] is not None:
            tables[name] = make(results[source])
    listed = "\n\n".join(f"## {name}\n\n{table}" for name, table in tables.items())
    atomic_write(Path(arguments.out) / "figures.md", (listed + "\n").encode(), overwrite=True)
    print("\n" + listed)
    for document in DOCUMENTS if arguments.write else ():
        path = ROOT / document
        text = path.read_text(encoding="utf-8")
        if (changed := replaced(text, tables)) != text:
            path.write_text(changed, encoding="utf-8")
            print(f"wrote {document}")
    return tables


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, metavar="FOLDER", help="images to measure on")
    parser.add_argument("--training", metavar="FOLDER", help="photographs for the ablations")
    parser.add_argument("--out", default="figures", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    parser.add_argument(
        "--config", default=str(ROOT / "configs" / "tiny.py"), help="of the ablations"
    )
    parser.add_argument("--limit", type=int, help="only the first images")
    parser.add_argument("--repeats", type=int, default=10, help="of each speed measurement")
    parser.add_argument(
        "--only", nargs="+", choices=TABLES, default=list(TABLES), metavar="TABLE",
        help=f"some of {', '.join(TABLES)}",
    )  # fmt: skip
    parser.add_argument(
        "--write", action="store_true", help="replace the tables in README.md and docs/"
    )
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
