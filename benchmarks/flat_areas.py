"""Steps at the borders of tiles, and the 8 x 8 dot grid, in flat areas.

    python benchmarks/flat_areas.py [--surfaces sky snow] [--qualities 20 45 70] [--tile 256]

Smooth synthetic surfaces are coded in tiles, and decoded at tau 0 and at tau 1. All figures are of
the error e = luma of the decoded image - luma of the original, in levels of 255, averaged along the
border of two neighbouring tiles:

    step   largest |e[x] - e[x - 1]|
    soft   the same between the means of the 8 pixels on either side, for steps that are blurred
    grid   share of the energy of e on the harmonics of an 8 x 8 grid, in % (added_pattern.py)
    dots   root mean square of e at these harmonics, in levels

"border" is the largest value of all borders of the image, "nearby" the largest of all other columns
or rows at most 64 pixels from a border. A border shows where it exceeds nearby. Where e is noise,
"grid" is about 1.5 %.
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
NEARBY = 64  # pixels on each side of a border that it is compared with
HEADER = (
    *("surface", "quality", "tau", "bpp", "rms error"),
    *("step border", "nearby", "soft border", "nearby", "grid, %", "dots"),
)


class Steps(NamedTuple):
    """The largest step at a border, and in the columns beside it, in levels."""

    border: float
    nearby: float


class Measured(NamedTuple):
    """One surface at one quality and one tau; see the module docstring."""

    surface: str
    quality: float
    tau: float
    bpp: float
    rms: float
    step: Steps
    soft: Steps
    grid: float  # 0..1
    dots: float


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


def measured(
    surface_name: str, quality: float, tau: float, bpp: float, error: np.ndarray, tile: int
) -> Measured:
    """The figures of an error in luma, float [H,W]."""
    energy = added_pattern.energy(error)
    return Measured(
        surface_name,
        quality,
        tau,
        bpp,
        float(np.sqrt(np.mean(error**2))),
        steps(error, tile, 1),
        steps(error, tile, SOFT),
        added_pattern.share([energy]),
        math.sqrt(energy.on_grid / error.size),
    )


def row(found: Measured) -> list[str]:
    """Returns the line of the table."""
    levels = (*found.step, *found.soft)
    return [
        *(found.surface, f"{found.quality:g}", f"{found.tau:g}"),
        *(f"{found.bpp:.3f}", f"{found.rms:.2f}"),
        *(f"{value:.2f}" for value in levels),
        *(f"{100 * found.grid:.1f}", f"{found.dots:.2f}"),
    ]


def run(arguments: argparse.Namespace) -> None:
    unknown = set(arguments.surfaces) - set(SURFACES)
    if unknown:
        raise RdcError(f"no surface '{min(unknown)}'; choose from {', '.join(SURFACES)}")
    compilation_cache.enable()
    codec = rdc_jax.load(arguments.model, fusion=arguments.fusion)
    side, results = arguments.side or 2 * arguments.tile, []
    if side <= arguments.tile or side < added_pattern.WINDOW:
        raise RdcError(f"an image of {side} pixels has no borders of tiles of {arguments.tile}")
    pairs = [(name, quality) for name in arguments.surfaces for quality in arguments.qualities]
    for name, quality in tqdm(pairs, unit="file"):
        pixels = surface(name, side)
        data = codec.encode(pixels, quality=quality, tile=arguments.tile)
        for tau in TAUS:
            decoded = np.asarray(codec.decode(data, tau=tau, steps=arguments.steps))
            error = (decoded.astype(np.float64) - pixels) @ LUMA_WEIGHTS
            bpp = 8 * len(data) / side**2
            results.append(measured(name, quality, tau, bpp, error, arguments.tile))
    print(table(HEADER, [row(found) for found in results]))
    worst = max(r.border - r.nearby for found in results for r in (found.step, found.soft))
    print(f"\nlargest excess of a border over nearby: {worst:.2f} levels (goal: at most 1)")
    print(f"share on the grid by chance: {100 * added_pattern.CHANCE:.1f} %")
    write_results(arguments.out, {"model": codec.model.model_id, "results": _plain(results)})


def _plain(results: list[Measured]) -> list[dict]:
    return [r._asdict() | {"step": r.step._asdict(), "soft": r.soft._asdict()} for r in results]


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
