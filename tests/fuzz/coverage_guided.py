"""The same targets under atheris (libFuzzer), which keeps inputs that reach new code.

    pip install atheris
    PYTHONPATH=. python tests/fuzz/coverage_guided.py whole fuzz_corpus -max_total_time=600

The first argument is a target of run.py, the others are libFuzzer's. The folder of the corpus is
filled with the target's seeds. Half of the changes are libFuzzer's own, half those of run.py, with
checksums made right.
"""

import hashlib
import random
import struct
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rdc_jax.entropy", "rdc_jax.decoding"]):
    from rdc_jax.errors import RdcError
    from tests.fuzz.part_targets import TARGETS

MAX_BYTES = 4096


def main() -> None:
    name, corpus, *options = sys.argv[1:]
    target, folder = TARGETS[name], Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = target.seeds()
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)

    def run(data: bytes) -> None:
        try:
            target.run(data)
        except RdcError:
            pass

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        generator = random.Random(seed)
        if generator.random() < 0.5:
            return atheris.Mutate(data, max_size)
        try:
            changed = target.mutate(data, generator, generator.choice(seeds))
        except (IndexError, ValueError, ArithmeticError, struct.error):
            changed = None  # libFuzzer has made something of it that cannot be taken apart
        return atheris.Mutate(data, max_size) if changed is None else changed[:max_size]

    arguments = [sys.argv[0], str(folder), f"-max_len={MAX_BYTES}", "-timeout=10", *options]
    atheris.Setup(arguments, run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
