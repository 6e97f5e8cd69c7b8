"""Steps at the borders of tiles, and grids of dots, in flat areas.

    python benchmarks/flat_areas.py [--surfaces sky snow] [--qualities 20 45 70] [--tile 256]

Smooth synthetic surfaces are coded in tiles and decoded at tau 0 and at tau 1. All figures are of
the error e = decoded image - original, in levels of 255. For the steps, e is the luma's, averaged
along the border of two neighbouring tiles.

    step     |e[x] - e[x - 1]|
    soft     the same between the means of the 8 pixels on either side, for steps that are blurred
    corner   largest |e| of red, green or blue at most 8 pixels from where four tiles meet
    grid 8   share of the energy of red, green and blue that repeats every 8 pixels, in %
    dots 8   root mean square of what repeats, in levels
    grid 32, dots 32   the same for 32 pixels: cells of the hyper-latent, with coding passes of 16

"border" is the largest value of all borders of the image, "near" the largest of all other columns
or rows at most 64 pixels from a border. A border shows where it exceeds near. Noise has a share of
about 1.5 % in both grids.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import NamedTuple

import numpy as np
import speed
from tqdm import tqdm

import rdc_jax
from rdc_jax.codec import compilation_cache
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import added_pattern
from rdc_jax.evaluation.metrics.distortion import LUMA_WEIGHTS
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.evaluation.results_file import write_results

SURFACES = {  # RGB of the upper left and of the lower right corner
    "sky": ((70, 120, 190), (170, 200, 235)),
    "snow": ((225, 230, 238), (250, 250, 252)),
    "skin": ((200, 150, 130), (225, 180, 160)),
    "white": ((240, 240, 240), (240, 240, 240)),
    "dark": ((30, 30, 30), (30, 30, 30)),
}
QUALITIES = (20.0, 45.0, 70.0)
TAUS = (0.0, 1.0)
SOFT = 8  # pixels on each side that a soft step compares
PERIODS = (8, 32)  # pixels
BLOCKS = 8  # periods along a side of a window
NEARBY = 64  # pixels on each side of a border that it is compared with
HEADER = (
    *("surface", "quality", "tau", "bpp", "rms error"),
    *("step border", "near", "soft border", "near", "corner"),
    *("grid 8", "dots 8", "grid 32", "dots 32"),
)


class Steps(NamedTuple):
    """The largest step at a border, and in the columns near it, in levels."""

    border: float
    near: float


class Grid(NamedTuple):
    """What repeats in both directions: its share of the energy, 0..1, and its rms in levels."""

    share: float
    dots: float


class Measured(NamedTuple):
    """One surface at one quality and one tau; see the module docstring."""

    surface: str
    quality: float
    tau: float
    bpp: float
    rms: float
    step: Steps
    soft: Steps
    corner: float
    grids: tuple[Grid, ...]  # of PERIODS


def surface(name: str, side: int) -> np.ndarray:
    """Returns uint8 [side,side,3], a gradient that falls steeply and to the right gently."""
    first, last = (np.array(colour, np.float64) for colour in SURFACES[name])
    place = np.linspace(0, 1, side)
    share = (0.7 * place[:, None] + 0.3 * place[None, :])[..., None]
    return np.rint(first * (1 - share) + last * share).astype(np.uint8)


def steps(error: np.ndarray, tile: int, reach: int) -> Steps:
    """Compares steps at the borders of tiles with those nearby, in both directions.

    Args:
        error: Float [H,W].
        tile: Side of a tile in pixels.
        reach: Pixels on each side of a step whose means it compares.
    """
    found = [Steps(0.0, 0.0)]
    for across in (error, error.T):
        for top in range(0, across.shape[0], tile):
            profile = across[top : top + tile].mean(axis=0)
            found += (_border(profile, x, reach) for x in range(tile, len(profile), tile))
    return Steps(*(max(values) for values in zip(*found, strict=True)))


def _border(profile: np.ndarray, border: int, reach: int) -> Steps:
    sums = np.concatenate([[0.0], np.cumsum(profile)])
    places = np.arange(max(reach, border - NEARBY), min(len(profile) - reach, border + NEARBY) + 1)
    after, before = sums[places + reach] - sums[places], sums[places] - sums[places - reach]
    step = np.abs(after - before) / reach
    return Steps(float(step[places == border][0]), float(step[abs(places - border) >= reach].max()))


def corner(error: np.ndarray, tile: int) -> float:
    """The largest error of a channel where four tiles meet, of float [H,W,3]."""
    places = [range(tile, side, tile) for side in error.shape[:2]]
    around = (error[y - SOFT : y + SOFT, x - SOFT : x + SOFT] for y in places[0] for x in places[1])
    return max(float(np.abs(part).max()) for part in around)


def grid(error: np.ndarray, period: int) -> Grid:
    """What repeats every `period` pixels within windows of 8 periods, of float [H,W,3].

    For a single channel and 8 pixels, the share is that of `added_pattern.energy`.
    """
    rows, columns = (side // (BLOCKS * period) for side in error.shape[:2])
    cut = error[: rows * BLOCKS * period, : columns * BLOCKS * period]
    windows = cut.reshape(rows, BLOCKS, period, columns, BLOCKS, period, -1)
    windows = windows - windows.mean(axis=(1, 2, 4, 5), keepdims=True)
    repeated, total = np.mean(windows.mean(axis=(1, 4)) ** 2), np.mean(windows**2)
    return Grid(float(repeated / total) if total else 0.0, math.sqrt(repeated))


def measured(coded: tuple[str, float, float, float], error: np.ndarray, tile: int) -> Measured:
    """The figures of an error float [H,W,3]; coded: surface, quality, tau and bpp."""
    luma = error @ LUMA_WEIGHTS
    return Measured(
        *coded,
        float(np.sqrt(np.mean(error**2))),
        steps(luma, tile, 1),
        steps(luma, tile, SOFT),
        corner(error, tile),
        tuple(grid(error, period) for period in PERIODS),
    )


def row(found: Measured) -> list[str]:
    """Returns the line of the table."""
    levels = (*found.step, *found.soft)
    return [
        *(found.surface, f"{found.quality:g}", f"{found.tau:g}"),
        *(f"{found.bpp:.3f}", f"{found.rms:.2f}"),
        *(f"{value:.2f}" for value in levels),
        f"{found.corner:.0f}",
        *(text for g in found.grids for text in (f"{100 * g.share:.1f}", f"{g.dots:.2f}")),
    ]


def run(arguments: argparse.Namespace) -> None:
    unknown = set(arguments.surfaces) - set(SURFACES)
    if unknown:
        raise RdcError(f"no surface '{min(unknown)}'; choose from {', '.join(SURFACES)}")
    compilation_cache.enable()
    codec = rdc_jax.load(arguments.model, fusion=arguments.fusion)
    side, results = arguments.side or 2 * arguments.tile, []
    if side <= arguments.tile or side < BLOCKS * max(PERIODS):
        raise RdcError(
            f"an image of {side} pixels is too small; give a --side of two tiles or more"
        )
    pairs = [(name, quality) for name in arguments.surfaces for quality in arguments.qualities]
    for name, quality in tqdm(pairs, unit="file"):
        pixels = surface(name, side)
        data = codec.encode(pixels, quality=quality, tile=arguments.tile)
        for tau in TAUS:
            decoded = np.asarray(codec.decode(data, tau=tau, steps=arguments.steps))
            coded = name, quality, tau, 8 * len(data) / side**2
            error = decoded.astype(np.float64) - pixels
            results.append(measured(coded, error, arguments.tile))
    print(table(HEADER, [row(found) for found in results]))
    worst = max(r.border - r.near for found in results for r in (found.step, found.soft))
    print(f"\nlargest excess of a border over near: {worst:.2f} levels (goal: at most 1)")
    print(f"share in a grid by chance: {100 * added_pattern.CHANCE:.1f} %")
    write_results(arguments.out, {"model": codec.model.model_id.hex(), "results": _plain(results)})


def _plain(results: list[Measured]) -> list[dict]:
    return [
        r._asdict()
        | {"step": r.step._asdict(), "soft": r.soft._asdict()}
        | {"grids": [g._asdict() for g in r.grids]}
        for r in results
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--surfaces", nargs="+", default=list(SURFACES), metavar="NAME")
    parser.add_argument("--qualities", nargs="+", type=float, default=QUALITIES, metavar="Q")
    parser.add_argument("--tile", type=int, default=256, help="side of a tile; default: 256")
    parser.add_argument("--side", type=int, help="side of the image; default: two tiles")
    parser.add_argument("--model", help="name or folder; default: the shipped one")
    parser.add_argument("--fusion", metavar="FOLDER", help="fusion module; default: the model's")
    parser.add_argument("--steps", type=int, default=1, help="sampler steps; default: 1")
    parser.add_argument("--out", metavar="FILE", help="all figures as JSON")
    return speed.exit_code(run, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
