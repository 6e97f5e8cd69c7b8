"""Changed files: the page's modules and the package accept the same ones and read the same symbols.

    PYTHONPATH=. python -m tests.interop.web.fuzz --runs 10000 --seed 1

The files are those of tests/fuzz: golden files with changed bytes, fields, sections and tiles,
mostly with checksums made right. Prints a summary and each disagreement; exits with 1 if there is
one.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rdc_jax.decoding import decoder as file_decoding
from rdc_jax.decoding.opened_file import PIECE_SHARE
from rdc_jax.errors import RdcError
from tests.fuzz.part_targets import CHOICE_BYTES, TARGETS
from tests.fuzz.targets import GOLDEN, MAX_PIXELS, model, model_names

HERE = Path(__file__).parent
SLOW = 2000  # milliseconds that no file may take
TILED_SHARE = 0.2
WORDING = {"max_pixels": "maxPixels", "with resilient=True": "with the option resilient"}


class Outcome(NamedTuple):
    """What became of a file: the hash of its symbols, or the message of the refusal."""

    hash: str | None
    message: str


def changed_files(runs: int, seed: int) -> Iterator[bytes]:
    """File i depends on the seed and i alone."""
    for number in range(runs):
        generator = random.Random(seed << 40 | number)
        if number % 50 == 0:
            yield generator.randbytes(generator.randrange(200))
            continue
        name = "tiles" if generator.random() < TILED_SHARE else "whole"
        seeds = TARGETS[name].seeds()
        data, other = generator.choice(seeds), generator.choice(seeds)
        changed = TARGETS[name].mutate(data, generator, other)
        yield changed[CHOICE_BYTES:] if name == "tiles" else changed


def model_of(data: bytes) -> str:
    """The golden model whose id stands anywhere in the file, else the first."""
    return next((n for n in model_names() if model(n)[0].model_id in data), "model")


def python_outcome(data: bytes) -> Outcome:
    loaded, entropy, _ = model(model_of(data))
    try:
        limit = PIECE_SHARE * MAX_PIXELS
        _, coded, _ = file_decoding.decode_latent(data, loaded, entropy, max_pixels=limit)
    except RdcError as error:
        return Outcome(None, str(error))
    return Outcome(coded.symbol_hash, "")


def as_in_javascript(message: str) -> str:
    """A message of the package as the page words it: options have other names there."""
    for ours, theirs in WORDING.items():
        message = message.replace(ours, theirs)
    if message.startswith("the file needs model"):
        return message.partition(", but")[0]
    return message


def disagreement(data: bytes, ours: Outcome, theirs: dict) -> str | None:
    """One line, or None where package and page agree."""
    message = theirs.get("refused", "")
    if message.startswith("the file needs model"):
        message = message.partition(", but")[0]
    if theirs["ms"] > SLOW:
        return f"took {theirs['ms']:.0f} ms: {data.hex()}"
    if ours.hash != theirs.get("hash") or as_in_javascript(ours.message) != message:
        return f"package {ours}, page {theirs}: {data.hex()}"
    return None


def compared(
    files: list[bytes], node: Callable[[Path], str], folder: Path
) -> tuple[list[str], str]:
    """Returns the disagreements and a summary. `node` runs outcomes.mjs on a folder."""
    names = model_names()
    entries = [{"model": names.index(model_of(data)), "size": len(data)} for data in files]
    models = [str(GOLDEN / name) for name in names]
    content = {"models": models, "files": entries, "maxPixels": PIECE_SHARE * MAX_PIXELS}
    (folder / "files.json").write_text(json.dumps(content))
    (folder / "files.bin").write_bytes(b"".join(files))
    lines = node(folder).splitlines()
    ours = [python_outcome(data) for data in files]
    found = [
        line
        for data, outcome, theirs in zip(files, ours, map(json.loads, lines), strict=True)
        if (line := disagreement(data, outcome, theirs))
    ]
    accepted = sum(outcome.hash is not None for outcome in ours)
    slowest = max(json.loads(line)["ms"] for line in lines)
    return found, (
        f"{len(files)} files: {accepted} decoded, {len(files) - accepted} refused by the package; "
        f"{len(found)} disagreements; slowest in JavaScript {slowest:.0f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    program = shutil.which("node")
    if program is None:
        sys.exit("needs Node.js")

    def node(folder: Path) -> str:
        command = [program, HERE / "outcomes.mjs", folder]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    with tempfile.TemporaryDirectory() as folder:
        found, summary = compared(list(changed_files(args.runs, args.seed)), node, Path(folder))
    print("\n".join([*found, summary]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
