"""A run at equal rate: its validation curve against that of a reference model.

The reference, by default the shipped model with its fusion module, is measured by the same rule on
the same crops. That takes as long as a validation, so the result is kept in the run's folder:

    workdir/reference.json   {"fingerprint": {"model", "module", "crops"}, "scalars": {...}}

It is measured again when the model, its module or the crops change. A copy of the file in the
folder of another run with the same crops saves that run the time.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np

from rdc_jax import paths
from rdc_jax.errors import RdcError
from rdc_jax.evaluation.metrics.judges import CHEAP, EXPENSIVE, Judge
from rdc_jax.evaluation.metrics.metric_names import direction
from rdc_jax.evaluation.rate_distortion import Curve, bd_metric, bd_rate
from rdc_jax.evaluation.results_file import write_results
from rdc_jax.model_folder import codec_model, fusion_module
from rdc_jax.model_folder.codec_model import Model
from rdc_jax.model_folder.fusion_module import Module
from rdc_jax.models.fusion import Fusion
from rdc_jax.models.networks import Networks
from rdc_jax.training.tasks import decoders
from rdc_jax.training.validation import measuring

FILE = "reference.json"
BD_RATE, EQUAL_RATE = "bd_rate_", "equal_rate_"
COMPARED_VIEWS = (decoders.FAITHFUL, decoders.REALISTIC)


class Reference(NamedTuple):
    """The model that a run is compared with, and the file of its curve."""

    name: str
    path: Path
    fingerprint: dict[str, str]
    model: Model
    module: Module | None


def named_by(config: ml_collections.ConfigDict, crops: np.ndarray) -> Reference | None:
    """The reference of a run; None without one, or where the crops are latents of another model.

    Raises RdcError when the model is missing or damaged.
    """
    name = config.training.get("reference", "")
    if not name or crops.dtype != np.uint8:
        return None
    model = codec_model.load(name)
    module = fusion_module.choose(model, None)
    fingerprint = {
        "model": model.model_id.hex(),
        "module": module.identity if module else "",
        "crops": hashlib.sha256(repr(crops.shape).encode() + crops.tobytes()).hexdigest(),
    }
    return Reference(name, paths.of(config.workdir) / FILE, fingerprint, model, module)


def stored(reference: Reference, judges: Mapping[str, Judge]) -> dict[str, float] | None:
    """The kept scalars; None where they belong to another reference or lack a judge's."""
    try:
        with paths.errors(reference.path):
            content = json.loads(reference.path.read_text(encoding="utf-8"))
        fingerprint, scalars = content["fingerprint"], dict(content["scalars"])
    except (OSError, ValueError, KeyError, TypeError):  # missing, or damaged
        return None
    needed = {f"{name}@{timestep}" for name in judges for timestep in measuring.TIMESTEPS}
    return scalars if fingerprint == reference.fingerprint and needed <= scalars.keys() else None


def measure(
    reference: Reference,
    crops: np.ndarray,
    judges: Mapping[str, Judge],
    known: Mapping[tuple, Mapping[str, float]],
    go_on: Callable[[], bool],
) -> measuring.Found | None:
    """Validates the reference and keeps its scalars.

    Args:
        reference: To be measured.
        crops: See `measuring.run`, as for the other arguments and the result.
        judges: By name.
        known: Values of an earlier validation.
        go_on: Asked before every image.
    """
    print(f"measuring the reference {reference.name}, kept in {reference.path}", flush=True)
    model, module = reference.model, reference.module
    networks, params = Networks.from_config(model.config), model.params
    decoder = decoders.of_codec(networks)
    if module:
        decoder = decoders.of_module(networks, Fusion.from_config(module.config, networks))
        params = params | {"transform": module.params["transform"]}
    decoded = measuring.decode(decoder, params, crops)
    found = measuring.run(decoder.views, decoded, crops.dtype != np.uint8, judges, known, go_on)
    if found:
        content = {"fingerprint": reference.fingerprint, "scalars": found.scalars}
        write_results(reference.path, content)
    return found


def better(scalar: str) -> bool:
    """Whether a higher value of a scalar of validation is better, such as of "psnr@400"."""
    if scalar.startswith(BD_RATE):
        return False
    return direction(scalar.removeprefix(EQUAL_RATE)) > 0


def differences(anchor: Mapping[str, float], test: Mapping[str, float]) -> dict[str, float]:
    """Differences that do not depend on a run's rates, for each metric at tau 0 and tau 1.

    "bd_rate_METRIC": difference in bits at equal quality, in per cent; negative is better.
    "equal_rate_METRIC": difference in the metric at equal rate. In dB for PSNR and in points for
    SSIMULACRA2, where positive is better; for distances in per cent, where negative is better.

    Both are Bjontegaard differences (pchip) of the curves through the four timesteps, means over
    the crops. Where the curves do not overlap, or one does not rise or lacks the metric, there is
    no scalar.

    Args:
        anchor: Scalars of the reference's validation.
        test: Scalars of the run's validation.
    """
    found = {}
    for name in (f"{metric}{view}" for metric in CHEAP + EXPENSIVE for view in COMPARED_VIEWS):
        relative = direction(name) < 0
        try:
            curves = [_curve(scalars, name, relative) for scalars in (anchor, test)]
            found[BD_RATE + name] = bd_rate(*curves).value
            gain = bd_metric(*curves).value
        except (KeyError, RdcError):
            continue
        found[EQUAL_RATE + name] = float(np.expm1(-gain)) * 100.0 if relative else gain
    return found


def _curve(scalars: Mapping[str, Any], name: str, is_distance: bool) -> Curve:
    """Rates and qualities; for a distance its logarithm, so that all rates count alike."""
    rates = [scalars[f"bpp@{t}"] for t in measuring.TIMESTEPS]
    values = np.array([scalars[f"{name}@{t}"] for t in measuring.TIMESTEPS])
    if is_distance:
        with np.errstate(divide="ignore"):  # a distance of 0 becomes infinite, which is refused
            values = -np.log(values)
    return rates, values
