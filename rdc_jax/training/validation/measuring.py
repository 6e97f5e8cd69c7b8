"""The fixed validation rule: crops of held-out training images, uniform maps, four timesteps.

Never the evaluation set. The loop below averages over the crops whatever the judges say about a
decoder's pictures. Names of scalars are "METRIC@TIMESTEP" for the faithful picture and
"METRIC_tau_1@TIMESTEP" for others; `psnr_ae` and the like are those of a run on encoded latents:
there are no photographs, and the autoencoder's picture of the clean latent is the original.
"""

import functools
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from rdc_jax.data.latent_records import LATENT_PIXELS
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics import added_pattern
from rdc_jax.evaluation.metrics.judges import Judge
from rdc_jax.evaluation.report.results import table
from rdc_jax.training.validation import one_step

TIMESTEPS = (250, 400, 550, 700)
SHOWN = 6  # crops on the sheet
SMALLEST = 64  # side of a crop in pixels: a window of the added pattern
SIDE_MULTIPLE = 32


class Found(NamedTuple):
    """What a validation found."""

    scalars: dict[str, float]
    sheet: np.ndarray  # uint8 [H,W,3]: originals, then per timestep the first and the last view
    known: dict[tuple, dict[str, float]]  # values by picture, for the next validation


def crop_side(config: ml_collections.ConfigDict) -> int:
    """Side of the validation crops in pixels. Raises RdcError for one that networks refuse."""
    size = config.data.get("validation_size", 2 * config.data.crop_size)
    if size < SMALLEST or size % SIDE_MULTIPLE:
        raise RdcError(
            f"data.validation_size must be a multiple of {SIDE_MULTIPLE} and at least {SMALLEST}, "
            f"not {size}"
        )
    return size


def validation_crops(source: Any, indices: np.ndarray, size: int) -> np.ndarray:
    """Centre crops of the held-out images, uint8 [N,size,size,3]; smaller images are tiled up.

    Of latents: the centre of a tile of each photo, float16 [N,size/8,size/8,C], or the whole tile
    where that is smaller.
    """
    crops = []
    for index in indices:
        example = source[int(index)]
        if "latents" in example:
            tile = example["latents"][len(example["latents"]) // 2]
            side = min(size // LATENT_PIXELS, len(tile))
            start = (len(tile) - side) // 2
            crops.append(tile[start : start + side, start : start + side])
            continue
        image = example["image"]
        repeat = [-(-size // n) for n in image.shape[:2]]
        image = np.tile(image, (*repeat, 1))
        top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
        crops.append(image[top : top + size, left : left + size])
    return np.stack(crops)


def run(
    decoder: one_step.Decoder,
    params: Mapping[str, Any],
    crops: np.ndarray,
    judges: Mapping[str, Judge],
    known: Mapping[tuple, Mapping[str, float]],
    go_on: Callable[[], bool],
) -> Found | None:
    """Decodes all crops and lets the judges measure the pictures.

    Args:
      decoder: networks and views.
      params: all parts of a run or of a model, host arrays.
      crops: of `validation_crops`.
      judges: by name, see `evaluation.judges`.
      known: of an earlier `Found`, or {}. A picture that has not changed since, such as the
        faithful one of a frozen codec, is not measured again.
      go_on: asked before every picture; None is returned once it is False.
    """
    params = jax.device_put(one_step.used(decoder, params))
    of_latents = "" if crops.dtype == np.uint8 else "_ae"
    values, energies, rows, seen = defaultdict(list), defaultdict(list), [], {}
    for crop in crops:
        seed = np.int32(zlib.crc32(crop.tobytes()) & 0x7FFFFFFF)  # the crop's, in any set of crops
        shown = one_step.show(decoder, params, crop, np.array(TIMESTEPS, np.int32), seed)
        bpp, original, pictures = jax.device_get(shown)
        # Sides below 64 pixels exist in runs on small latents, and have a PSNR only.
        chosen = judges if len(original) >= SMALLEST else {"psnr": judges["psnr"]}
        measure = functools.partial(_measure, chosen, original, {}, known, seen)
        for i, timestep in enumerate(TIMESTEPS):
            values[f"bpp@{timestep}"].append(float(bpp[i]))
            for view, picture in zip(decoder.views, pictures[i], strict=True):
                if not go_on():
                    return None
                for name, value in measure(picture).items():
                    values[f"{name}{of_latents}{view}@{timestep}"].append(value)
            if len(decoder.views) > 1:
                energy = added_pattern.added_energy(pictures[i, 0], pictures[i, -1])
                energies[f"added_pattern@{timestep}"].append(energy)
        if len(rows) < SHOWN:
            ends = [0, -1] if len(decoder.views) > 1 else [0]
            rows.append(np.concatenate([original, *pictures[:, ends].reshape(-1, *original.shape)]))
    scalars = {name: float(np.mean(found)) for name, found in values.items()}
    scalars |= {name: added_pattern.share(found) for name, found in energies.items()}
    return Found(scalars, np.concatenate(rows, axis=1), seen)


def _measure(
    judges: Mapping[str, Judge],
    original: np.ndarray,
    features: dict[str, Any],
    known: Mapping[tuple, Mapping[str, float]],
    seen: dict[tuple, dict[str, float]],
    picture: np.ndarray,
) -> dict[str, float]:
    """All values of a picture; computes what `known` lacks and puts all that it knows in `seen`.

    features: of the original by judge, filled when first needed.
    """
    key = hashlib.sha256(original).digest(), hashlib.sha256(picture).digest()
    values = seen[key] = {**known.get(key, {}), **seen.get(key, {})}
    for name, judge in judges.items():
        if name not in values:
            if name not in features:
                features[name] = judge.features(original)
            values[name] = float(judge.distance(features[name], judge.features(picture)))
    return {name: values[name] for name in judges}


def as_table(scalars: Mapping[str, float], columns: Sequence[str]) -> str:
    """Scalars as text: a row a metric, a column a timestep, then others by their prefixes.

    columns: prefixes of scalars without a timestep, "bd_rate_" for instance.
    """
    names = dict.fromkeys(name.rpartition("@")[0] for name in scalars if "@" in name)
    cells = [
        [scalars.get(f"{name}@{t}") for t in TIMESTEPS] + [scalars.get(p + name) for p in columns]
        for name in names
    ]
    rows = [
        [name, *("" if value is None else f"{value:.4g}" for value in row)]
        for name, row in zip(names, cells, strict=True)
    ]
    return table(("", *map(str, TIMESTEPS), *(p.rstrip("_") for p in columns)), rows)
