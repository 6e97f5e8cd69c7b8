"""`rdc data prepare` and `rdc data synthesize`: sets of images for training."""

import sys
from argparse import Namespace
from collections import Counter

from rdc_jax.data import prepare as preparation
from rdc_jax.data import synthesize as drawing
from rdc_jax.data.shards import SKIPPED
from rdc_jax.errors import RdcError


def run(args: Namespace) -> int:
    return ACTIONS[args.action](args)


def prepare(args: Namespace) -> int:
    """`rdc data prepare`."""
    if args.quality is not None and args.max_side is None:
        raise RdcError("--quality needs --max-side: images that keep their size keep their bytes")
    try:
        manifest = preparation.prepare(
            args.folder,
            args.out,
            shards=args.shards,
            workers=args.workers,
            max_side=args.max_side,
            quality=args.quality or preparation.DEFAULT_QUALITY,
            masks=args.masks,
        )
    except KeyboardInterrupt:
        print(
            "rdc: interrupted; the same command continues with the missing shards",
            file=sys.stderr,
        )
        return 130
    text = f"{args.out}: {manifest['images']} images"
    if args.masks is not None:
        text += f", {manifest['masks']} with a mask"
    text += f", {len(manifest['shards'])} shards, {manifest['bytes'] / 1e6:.1f} MB"
    if manifest["skipped"]:
        text += f"; {manifest['skipped']} skipped, listed in {args.out}/{SKIPPED}"
    print(text)
    return 0


def synthesize(args: Namespace) -> int:
    """`rdc data synthesize`."""
    try:
        manifest = drawing.synthesize(
            args.out, args.count, seed=args.seed, size=args.size, fonts=args.fonts
        )
    except KeyboardInterrupt:
        print(
            "rdc: interrupted; the same command continues with the missing images",
            file=sys.stderr,
        )
        return 130
    kinds = Counter(file["kind"] for file in manifest["files"])
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    print(f"{args.out}: {kinds.total()} images ({parts})")
    return 0


ACTIONS = {"prepare": prepare, "synthesize": synthesize}
