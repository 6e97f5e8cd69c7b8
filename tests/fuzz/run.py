"""The fuzzer: random changes of sound inputs, for as long as you like.

    PYTHONPATH=. python tests/fuzz/run.py --seconds 600              all targets in turn
    PYTHONPATH=. python tests/fuzz/run.py --target whole --runs 100000 --seed 7
    PYTHONPATH=. python tests/fuzz/run.py --target whole --reproduce fuzz_failures/whole-0a1b2c3d

Every input must decode or raise RdcError, within --limit seconds and a bounded memory (RLIMIT_AS).
Anything else is a failure: its input is written to --out and the exit code is 1. Run i of a target
depends on the seed and i alone.
"""

import argparse
import hashlib
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

from rdc_jax.errors import RdcError
from tests.fuzz.part_targets import TARGETS
from tests.fuzz.targets import Target

MEMORY = 1 << 30  # bytes of address space beyond what the start takes
MAX_FAILURES = 10


class TooSlow(BaseException):
    """Not an Exception, so that nothing swallows it."""


def limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY)
    )


def input_of(target: Target, seeds: list[bytes], seed: int, number: int) -> bytes:
    """Run `number`: now and then pure noise, else a changed seed."""
    generator = random.Random(seed << 40 | number)
    if number % 50 == 0:
        return generator.randbytes(generator.randrange(200))
    data, other = generator.choice(seeds), generator.choice(seeds)
    return target.mutate(data, generator, other)


def attempt(target: Target, data: bytes, limit: float) -> tuple[str, str | None]:
    """("decoded" | "refused" | "failed", traceback of what must not be)."""
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        target.run(data)
        return "decoded", None
    except RdcError:
        return "refused", None
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "failed", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def fuzz(name: str, args: argparse.Namespace, runs: int | None, seconds: float | None) -> int:
    """Runs one target and prints one line; returns the number of failures."""
    target, counts, failures = TARGETS[name], dict(decoded=0, refused=0, failed=0), 0
    seeds, slowest, number = target.seeds(), 0.0, 0
    started = time.perf_counter()
    while (runs is None or number < runs) and failures < MAX_FAILURES:
        now = time.perf_counter()
        if seconds is not None and now - started > seconds:
            break
        data = input_of(target, seeds, args.seed, number)
        outcome, trace = attempt(target, data, args.limit)
        slowest = max(slowest, time.perf_counter() - now)
        counts[outcome] += 1
        number += 1
        if trace:
            failures += 1
            args.out.mkdir(exist_ok=True)
            path = args.out / f"{name}-{hashlib.sha256(data).hexdigest()[:8]}"
            path.write_bytes(data)
            print(f"{trace}{name}: run {number - 1} of seed {args.seed} failed; input in {path}")
    rate = number / (time.perf_counter() - started)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:<13} {number:>9} runs  {rate:>7.0f} /s  decoded {counts['decoded']}, refused "
        f"{counts['refused']}, failed {failures}; slowest {slowest:.3f} s, peak {memory:.0f} MiB",
        flush=True,
    )
    return failures


def too_slow(*_):
    raise TooSlow("the time limit of a run is over")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: all")
    parser.add_argument("--runs", type=int, help="of each target")
    parser.add_argument("--seconds", type=float, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=5.0, help="seconds a run may take")
    parser.add_argument("--out", type=Path, default=Path("fuzz_failures"))
    parser.add_argument("--reproduce", type=Path, help="one input of one target, with its error")
    args = parser.parse_args()
    names = args.target or list(TARGETS)
    if args.reproduce:
        TARGETS[names[0]].run(args.reproduce.read_bytes())
        return 0
    if args.runs is None and args.seconds is None:
        args.seconds = 60.0
    for name in names:
        TARGETS[name].seeds()  # loads what is cached before memory is limited
    limit_memory()
    signal.signal(signal.SIGALRM, too_slow)
    share = None if args.seconds is None else args.seconds / len(names)
    return int(sum(fuzz(name, args, args.runs, share) for name in names) > 0)


if __name__ == "__main__":
    sys.exit(main())
