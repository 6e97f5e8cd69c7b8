"""Import of CompressAI's `mbt2018-mean` (MeanScaleHyperprior) as a model of this project.

    params = from_state_dict(read_state("mbt2018-mean-3.pth.tar"))
    config = model_section(params)

Every entry of the state dict is used exactly once, or is one of the BUFFERS that follow from other
entries. At step 1 (timestep 500, quality 50) the model rounds like CompressAI. Other steps are an
addition of this project. The factorised prior of the hyper-latent becomes one Gaussian per channel,
see `channel_gaussians`. This changes code lengths but no symbols.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from rdc_jax.entropy.tables import NUM_SCALES, relative_scale
from rdc_jax.errors import RdcError

BUFFERS = re.compile(
    r"g_[as]\.[135]\.(beta|gamma)_reparam\.(pedestal|lower_bound\.bound)"
    r"|entropy_bottleneck\.(_offset|_quantized_cdf|_cdf_length|target|likelihood_lower_bound\.bound)"
    r"|gaussian_conditional\.(_offset|_quantized_cdf|_cdf_length|scale_table|scale_bound"
    r"|likelihood_lower_bound\.bound|lower_bound_scale\.bound)"
)
OLDER_NAMES = re.compile(r"entropy_bottleneck\._(matri|bias|factor)[a-z]*\.?(\d)")
NEWER_NAMES = {"matri": "matrices", "bias": "biases", "factor": "factors"}
FILTERS = (1, 3, 3, 3, 3, 1)  # widths of the layers of the factorised prior
MAX_SYMBOL = 1024


def read_state(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dict from a .safetensors file, or from a torch.save file of tensors only.

    Raises:
        RdcError: the file is missing, damaged, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        what = "it is a folder; name a file" if path.is_dir() else "no such file"
        raise RdcError(f"cannot read {path}: {what}")
    if path.suffix == ".safetensors":
        try:
            return safetensors.numpy.load_file(path)
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise RdcError(f"{path} is not a safetensors file: {error}") from error
    with open(path, "rb") as file:
        if not file.read(4).startswith((b"PK", b"\x80")):  # a zip archive or a pickle
            raise RdcError(f"{path} is not a file of tensors written by torch.save")
    try:
        import torch
    except ImportError as error:
        raise RdcError(f"reading {path} needs torch: pip install torch") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch passes on all exceptions of its unpickler
        raise RdcError(f"{path} is not a file of tensors written by torch.save") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(torch.is_tensor(v) for v in state.values()):
        raise RdcError(f"{path} does not hold a state dict")
    return {key: tensor.detach().numpy() for key, tensor in state.items()}


def from_state_dict(state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Converts a state dict to parameters {"autoencoder", "hyperprior"} of float32 arrays.

    Raises:
        RdcError: an entry is missing, unknown, of the wrong shape, or not finite. The message names
            the first one.
    """
    state = {_current_name(key): np.asarray(value) for key, value in state.items()}
    expected = _checked_shapes(state)
    params: dict[str, Any] = {"autoencoder": {}, "hyperprior": {}}
    for key in expected:
        group, _, rest = key.partition(".")
        if group == "entropy_bottleneck":
            continue
        number, _, name = rest.partition(".")
        value = state[key].astype(np.float32)
        if name == "weight":  # [out,in,kh,kw], of transposed convolutions [in,out,kh,kw]
            name = "kernel"
            value = value.transpose((2, 3, 0, 1) if _is_transposed(key) else (2, 3, 1, 0))
        part = params["autoencoder" if group.startswith("g") else "hyperprior"]
        part.setdefault(f"{group}_{number}", {})[name] = np.ascontiguousarray(value)
    mean, deviation = channel_gaussians(state)
    params["hyperprior"]["z_prior"] = {
        "mean": mean.astype(np.float32),
        "log2_scale": np.log2(deviation).astype(np.float32),
        "median": state["entropy_bottleneck.quantiles"][:, 0, 1].astype(np.float32),
    }
    return params


def model_section(params: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the `model` section of a config for these parameters. Delta is 1 at timestep 500."""
    kernel = params["autoencoder"]["g_a_6"]["kernel"]
    width, channels = kernel.shape[2:]
    return {
        "latent_channels": channels,
        "num_levels": 8,
        "cell_size": 16,
        "timestep_range": [200, 800],
        "prediction": "v",
        "prior_conditioning": False,
        "dither": False,
        "schedule": {"kind": "geometric", "step_min": 0.25, "step_max": 4.0},
        "step_profile": False,
        "autoencoder": {"kind": "gdn", "width": width, "latent_channels": channels},
        "hyperprior": {"kind": "mean_scale", "width": width},
        "unet": None,
    }


def bottleneck_probabilities(state: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns P(k) of the factorised prior for k = -1024..1024 around its median.

    The cumulative function is that of Balle et al. 2018 (appendix 6.1). Symbols beyond this range
    are ignored.

    Returns:
        float64 [N,2049] for N channels, normalised to the sum 1.
    """
    name = "entropy_bottleneck."
    median = state[name + "quantiles"][:, :, 1:2].astype(np.float64)
    edges = np.arange(-MAX_SYMBOL, MAX_SYMBOL + 2) - 0.5
    x = median + edges  # [N,1,edges]
    for layer in range(len(FILTERS) - 1):
        matrix = np.logaddexp(0.0, state[f"{name}matrices.{layer}"].astype(np.float64))
        x = matrix @ x + state[f"{name}biases.{layer}"].astype(np.float64)
        if layer < len(FILTERS) - 2:
            factor = state[f"{name}factors.{layer}"].astype(np.float64)
            x = x + np.tanh(factor) * np.tanh(x)
    # Differences of sigmoids are taken on the side where both are small, for precision.
    low, high = x[:, 0, :-1], x[:, 0, 1:]
    mirrored = np.where(low + high > 0, -1.0, 1.0)
    probability = np.abs(_sigmoid(mirrored * high) - _sigmoid(mirrored * low))
    return probability / probability.sum(-1, keepdims=True)


def channel_gaussians(state: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean (relative to the median) and standard deviation of z in each channel.

    The mean is that of the symbols under the factorised prior. The standard deviation is the
    cheapest of those that the coder has tables for. Matching the variance minus 1/12 instead would
    cost more than one bit per symbol in narrow channels.

    Returns:
        Mean and standard deviation, float64 [N] each.
    """
    probability = bottleneck_probabilities(state)
    mean = probability @ np.arange(-MAX_SYMBOL, MAX_SYMBOL + 1, dtype=np.float64)
    deviations = relative_scale(np.arange(NUM_SCALES))
    costs = [_divergence(probability, mean, np.full_like(mean, s)) for s in deviations]
    return mean, deviations[np.argmin(costs, axis=0)]


def gaussian_cost(state: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the extra bits per hyper-latent symbol that the Gaussian costs, [N].

    This is the Kullback-Leibler divergence from the factorised prior, assumed to be right.
    """
    return _divergence(bottleneck_probabilities(state), *channel_gaussians(state))


def _divergence(probability: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Returns the divergence of probabilities [N,2049] from rounded Gaussians, in bits [N]."""
    from scipy.special import log_ndtr

    distance = np.abs(np.arange(-MAX_SYMBOL, MAX_SYMBOL + 1) - mean[:, None])
    upper = log_ndtr((0.5 - distance) / deviation[:, None])
    lower = log_ndtr((-0.5 - distance) / deviation[:, None])
    log_gaussian = upper + np.log1p(-np.exp(lower - upper))
    log_probability = np.log(np.maximum(probability, 1e-300))
    return (probability * (log_probability - log_gaussian)).sum(-1) / np.log(2)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(np.clip(-x, -700, 700)))


def _current_name(key: str) -> str:
    """Returns the current name of an entry. CompressAI renamed those of the factorised prior."""
    match = OLDER_NAMES.fullmatch(key)
    return f"entropy_bottleneck.{NEWER_NAMES[match[1]]}.{match[2]}" if match else key


def _checked_shapes(state: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of all learnt entries, after checking that the state dict has them."""
    for key in ("g_a.0.weight", "g_a.6.weight"):
        if key not in state or state[key].ndim != 4:
            raise RdcError(f"these are not weights of mbt2018-mean: {key} is missing")
    expected = _expected_shapes(state["g_a.0.weight"].shape[0], state["g_a.6.weight"].shape[0])
    for key in sorted(state.keys() | expected.keys()):
        if key not in expected:
            if BUFFERS.fullmatch(key):
                continue
            raise RdcError(f"these are not weights of mbt2018-mean: {key} is unknown")
        if key not in state:
            raise RdcError(f"these weights are incomplete: {key} is missing")
        if state[key].shape != expected[key]:
            raise RdcError(f"{key} has shape {state[key].shape}, not {expected[key]}")
        if not np.all(np.isfinite(state[key])):
            raise RdcError(f"{key} has values that are not finite")
    return expected


def _is_transposed(key: str) -> bool:
    return key.startswith("g_s.") or key in ("h_s.0.weight", "h_s.2.weight")


def _expected_shapes(n: int, m: int) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of all learnt entries, for widths N and M."""
    analysis, synthesis = (3, n, n, n, m), (m, n, n, n, 3)
    layers = {f"g_a.{2 * i}": (5, *analysis[i : i + 2]) for i in range(4)}
    layers |= {f"g_s.{2 * i}": (5, *synthesis[i : i + 2]) for i in range(4)}
    layers |= {"h_a.0": (3, m, n), "h_a.2": (5, n, n), "h_a.4": (5, n, n)}
    layers |= {"h_s.0": (5, n, m), "h_s.2": (5, m, m * 3 // 2), "h_s.4": (3, m * 3 // 2, 2 * m)}
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (k, c_in, c_out) in layers.items():
        key = f"{layer}.weight"
        shapes[key] = (c_in, c_out, k, k) if _is_transposed(key) else (c_out, c_in, k, k)
        shapes[f"{layer}.bias"] = (c_out,)
    for group in ("g_a", "g_s"):
        for number in (1, 3, 5):
            shapes[f"{group}.{number}.beta"] = (n,)
            shapes[f"{group}.{number}.gamma"] = (n, n)
    name = "entropy_bottleneck."
    shapes[name + "quantiles"] = (n, 1, 3)
    for layer in range(len(FILTERS) - 1):
        shapes[f"{name}matrices.{layer}"] = (n, FILTERS[layer + 1], FILTERS[layer])
        shapes[f"{name}biases.{layer}"] = (n, FILTERS[layer + 1], 1)
        if layer < len(FILTERS) - 2:
            shapes[f"{name}factors.{layer}"] = (n, FILTERS[layer + 1], 1)
    return shapes
