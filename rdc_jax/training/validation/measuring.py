"""The fixed validation rule: crops of held-out training images, uniform maps, four timesteps.

The evaluation set is never used. The loop below averages the judges' values of a decoder's images
over the crops. Scalars are named "METRIC@TIMESTEP" for the faithful image and, for instance,
"METRIC_tau_1@TIMESTEP" for others. `psnr_ae` and the like belong to runs on encoded latents:
without photographs, the autoencoder's image of the clean latent is the original.
"""

import functools
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from rdc_jax.evaluation.metrics import added_pattern
from rdc_jax.evaluation.metrics.judges import Judge
from rdc_jax.evaluation.report.text_table import table
from rdc_jax.training import means
from rdc_jax.training.tasks import decoders
from rdc_jax.training.validation import one_step
from rdc_jax.training.validation.held_out import SMALLEST

TIMESTEPS = (250, 400, 550, 700)
SHOWN = 6  # crops on the sheet


class Found(NamedTuple):
    """The result of a validation."""

    scalars: dict[str, float]
    sheet: np.ndarray  # uint8 [H,W,3]: originals, then per timestep the first and the last view
    known: dict[tuple, dict[str, float]]  # values by image, for the next validation


def run(
    views: Sequence[str],
    decoded: Iterable[one_step.Shown],
    of_latents: bool,
    judges: Mapping[str, Judge],
    known: Mapping[tuple, Mapping[str, float]],
    go_on: Callable[[], bool],
) -> Found | None:
    """Lets the judges measure the images of all crops.

    Args:
        views: Of the decoder.
        decoded: The images of each crop, host arrays.
        of_latents: Whether the crops are latents.
        judges: By name, see `evaluation.metrics.judges`.
        known: Of an earlier `Found`, or {}. An image that has not changed since, such as the
            faithful one of a frozen codec, is not measured again.
        go_on: Asked before every image.

    Returns:
        The result, or None once `go_on()` is False.
    """
    source = "_ae" if of_latents else ""
    values, energies, rows, seen = defaultdict(list), defaultdict(list), [], {}
    for bpp, original, images in decoded:
        # Sides below 64 pixels exist in runs on small latents, and have a PSNR only.
        chosen = judges if len(original) >= SMALLEST else {"psnr": judges["psnr"]}
        measure = functools.partial(_measure, chosen, original, {}, known, seen)
        for i, timestep in enumerate(TIMESTEPS):
            values[f"bpp@{timestep}"].append(float(bpp[i]))
            for view, image in zip(views, images[i], strict=True):
                if not go_on():
                    return None
                for name, value in measure(image).items():
                    values[f"{name}{source}{view}@{timestep}"].append(value)
            if len(views) > 1:
                energy = added_pattern.added_energy(images[i, 0], images[i, -1])
                energies[f"added_pattern@{timestep}"].append(energy)
        if len(rows) < SHOWN:
            ends = [0, -1] if len(views) > 1 else [0]
            rows.append(np.concatenate([original, *images[:, ends].reshape(-1, *original.shape)]))
    scalars = {name: means.mean(found) for name, found in values.items()}
    scalars |= {name: added_pattern.share(found) for name, found in energies.items()}
    return Found(scalars, np.concatenate(rows, axis=1), seen)


def decode(
    decoder: decoders.Decoder, params: Mapping[str, Any], crops: np.ndarray
) -> Iterator[one_step.Shown]:
    """The images of each crop, host arrays, computed one after the other by one device.

    Args:
        decoder: Networks and views.
        params: All parts of a model, host arrays.
        crops: Of `held_out.validation_crops`.
    """
    params = jax.device_put(decoders.used(decoder, params))
    for crop, seed in zip(crops, seeds_of(crops), strict=True):
        timesteps = np.array(TIMESTEPS, np.int32)
        yield jax.device_get(one_step.show(decoder, params, crop, timesteps, seed))


def seeds_of(crops: np.ndarray) -> np.ndarray:
    """Seeds of the crops' noise, int32 [N]; that of a crop is the same in any set of crops."""
    return np.array([zlib.crc32(crop.tobytes()) & 0x7FFFFFFF for crop in crops], np.int32)


def _measure(
    judges: Mapping[str, Judge],
    original: np.ndarray,
    features: dict[str, Any],
    known: Mapping[tuple, Mapping[str, float]],
    seen: dict[tuple, dict[str, float]],
    image: np.ndarray,
) -> dict[str, float]:
    """All values of an image; computes those that `known` lacks.

    Args:
        judges: By name.
        original: Of the image.
        features: Of the original by judge, filled when first needed.
        known: Values of an earlier validation.
        seen: Receives the values.
        image: To be measured.
    """
    key = hashlib.sha256(original).digest(), hashlib.sha256(image).digest()
    values = seen[key] = {**known.get(key, {}), **seen.get(key, {})}
    for name, judge in judges.items():
        if name not in values:
            if name not in features:
                features[name] = judge.features(original)
            values[name] = float(judge.distance(features[name], judge.features(image)))
    return {name: values[name] for name in judges}


def as_table(scalars: Mapping[str, float], columns: Sequence[str]) -> str:
    """Scalars as text: one row per metric, one column per timestep, then `columns`.

    columns: prefixes of scalars without a timestep, such as "bd_rate_".
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
