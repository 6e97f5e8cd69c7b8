"""The entropy model's network in exact fixed-point arithmetic, NumPy only.

This is the network of `rdc_jax.models.hyperprior`, layer for layer, on integers in float64. The
layers come from `integer_layers`. Every partial sum is an integer below 2**53, which float64 holds
exactly. So the order of summation, fused multiply-add, the BLAS library and the number of threads
cannot change a single bit of the result (docs/bitstream.md).

Encoder and decoder both run this network. The float network is only for training.
"""

import itertools
from collections.abc import Container, Mapping

import numpy as np

from rdc_jax.entropy.accumulator_bounds import Bounds, constant
from rdc_jax.entropy.integer_layers import (
    ACTIVATION_LIMIT,
    FRACTION_BITS,
    ONE,
    area_pool,
    checked_layer,
    depth_to_space,
    quantize_convolution,
)
from rdc_jax.errors import RdcError

TIMESTEP_HATS = 12
IMPORTANCE_HATS = 4
HYPER_GAIN_BITS = 2  # z = 2**2 x network units
HYPER_DOWNSAMPLING = 4
MAX_HYPER_SYMBOL = 1 << 13  # |z| is smaller than this, in steps from the centre of its lattice
LAYERS = (
    "analysis_0 analysis_1 analysis_2 hyper_prior synthesis_0 synthesis_1 synthesis_2 synthesis_3 "
    "pass0_0 pass0_1 pass1_context pass1_0 pass1_1 pass1_2 pass2_context pass2_0 pass2_1 pass2_2"
).split()
# Optional groups of layers: a learnt step for z, and a context for z.
HYPER_STEP = ("hyper_log2_step",)
HYPER_CONTEXT = "hyper1_context hyper1_0 hyper1_1 hyper2_context hyper2_0 hyper2_1".split()
POINTWISE = tuple(x for x in [*LAYERS, *HYPER_STEP, *HYPER_CONTEXT]
                  if x.startswith(("pass", *HYPER_STEP, "hyper1", "hyper2"))
                  and not x.endswith("context"))  # fmt: skip


def layers_with(names: Container[str]) -> list[str]:
    """Returns all layers of a network that has `names`, with each optional group complete."""
    optional = [group for group in (HYPER_STEP, HYPER_CONTEXT) if group[0] in names]
    return [*LAYERS, *itertools.chain(*optional)]


def quantize_hyperprior(params: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Converts the float hyperprior's parameters to integer arrays.

    Args:
        params: Parameters by layer and name.

    Returns:
        Arrays "layer.weight", "layer.bias" and "layer.shift" by name.
    """
    arrays: dict[str, np.ndarray] = {}
    for layer in layers_with(params):
        quantized = quantize_convolution(params[layer]["kernel"], params[layer].get("bias"))
        arrays |= {f"{layer}.{name}": array for name, array in quantized.items()}
    return arrays


def hat_functions(position: np.ndarray, count: int) -> np.ndarray:
    """Returns a piecewise-linear basis at fixed-point positions, int64 [..., count].

    The unit of positions is the distance between knots, with 10 fractional bits.
    """
    knots = np.arange(count, dtype=np.int64) * ONE
    return np.maximum(0, ONE - np.abs(position[..., None] - knots))


def condition_table(timesteps: np.ndarray, num_levels: int) -> np.ndarray:
    """Returns the condition features of each importance level.

    Level l of L has importance l / (L - 1), or 1 if L = 1.

    Args:
        timesteps: int64 [L] in 0..1000.
        num_levels: L.

    Returns:
        int64 [L,16] with 10 fractional bits.
    """
    t = timesteps.astype(np.int64) * ((TIMESTEP_HATS - 1) * ONE) // 1000
    level = np.arange(num_levels, dtype=np.int64)
    last = (IMPORTANCE_HATS - 1) * ONE
    m = level * last // (num_levels - 1) if num_levels > 1 else np.array([last])
    features = hat_functions(t, TIMESTEP_HATS), hat_functions(m, IMPORTANCE_HATS)
    return np.concatenate(features, axis=-1)


def hyper_activations(z: np.ndarray) -> np.ndarray:
    """Converts z, or a difference of values of z, to activations.

    The input is int64 with 10 fractional bits, the result integers in float64.
    """
    x = (z + (1 << HYPER_GAIN_BITS >> 1)) >> HYPER_GAIN_BITS
    return np.clip(x, -ACTIVATION_LIMIT, ACTIVATION_LIMIT).astype(np.float64)


class IntegerHyperprior:
    """The network in integers.

    All activations are integers with 10 fractional bits in float64 [h,w,c]. Latents and means are
    in units of latent_unit, which means that their float values are divided by it.

    Attributes:
        latent_channels: Number of channels of the latent.
        hyper_channels: Number of channels of the hyper-latent z.
        bounds: Largest magnitude of each layer's sums, see `accumulator_bounds`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """Builds the network from the arrays of `quantize_hyperprior`.

        Raises:
            RdcError: the arrays are incomplete, do not fit each other, or sums could overflow.
        """
        names = layers_with({name.partition(".")[0] for name in arrays})
        expected = {f"{layer}.{part}" for layer in names for part in ("weight", "bias", "shift")}
        if set(arrays) != expected:
            wrong = sorted(expected ^ set(arrays))[0]
            raise RdcError(f"the integer network of these weights is damaged: check {wrong!r}")
        self._layers = {
            layer: checked_layer(layer, arrays, (1,) if layer in POINTWISE else (1, 3))
            for layer in names
        }
        self.latent_channels = self._layers["pass0_1"].bias.size // 2
        self.hyper_channels = self._layers["hyper_prior"].bias.size // 2
        self.bounds = self._bounds()

    def _bounds(self) -> dict[str, dict[str, int]]:
        """Returns bounds on each layer's sums. Raises RdcError if layers do not fit each other."""
        layer = Bounds(self._layers, ACTIVATION_LIMIT)
        condition = constant(0, ONE, TIMESTEP_HATS + IMPORTANCE_HATS)
        known = constant(-ACTIVATION_LIMIT, ACTIVATION_LIMIT, self.latent_channels)
        x = layer.hidden("analysis_0", known.with_channels_of(condition))
        layer("analysis_2", layer.hidden("analysis_1", x))
        prior = layer("hyper_prior", condition)
        z = (MAX_HYPER_SYMBOL - 1) << (FRACTION_BITS - HYPER_GAIN_BITS)
        if "hyper_log2_step" in self._layers:
            z = ACTIVATION_LIMIT
            if 2 * layer("hyper_log2_step", condition).low.size != prior.low.size:
                raise RdcError(
                    "the integer network of these weights is damaged: check 'hyper_log2_step'"
                )
        if "hyper1_context" in self._layers:
            around = constant(-ACTIVATION_LIMIT, ACTIVATION_LIMIT, self.hyper_channels)
            for number in (1, 2):
                x = layer(f"hyper{number}_context", around)
                x = x.plus(layer(f"hyper{number}_0", condition)).clip(ACTIVATION_LIMIT).relu()
                prior.plus(layer(f"hyper{number}_1", x))
        x = constant(-z, z, self.hyper_channels).clip(ACTIVATION_LIMIT)
        x = layer.hidden("synthesis_0", x.with_channels_of(condition))
        x = layer.hidden("synthesis_1", x).depth_to_space()
        x = layer.hidden("synthesis_2", x.with_channels_of(condition))
        features = layer.hidden("synthesis_3", x).depth_to_space().with_channels_of(condition)
        outputs = [layer("pass0_1", layer.hidden("pass0_0", features))]
        for number in (1, 2):
            x = layer(f"pass{number}_context", known).plus(layer(f"pass{number}_0", features))
            x = layer.hidden(f"pass{number}_1", x.clip(ACTIVATION_LIMIT).relu())
            outputs.append(layer(f"pass{number}_2", x))
        if any(x.low.size != 2 * self.latent_channels for x in outputs):
            raise RdcError("the integer network of these weights is damaged: check 'pass1_2'")
        return layer.record

    def _hidden(self, layer: str, x: np.ndarray, stride: int = 1) -> np.ndarray:
        return self._layers[layer](x, stride, 0)

    def passes(self, height: int, width: int) -> list[np.ndarray]:
        """Returns the pixels that each pass codes, bool [h,w] each."""
        row, column = np.arange(height)[:, None] % 2, np.arange(width)[None, :] % 2
        return [(row == 0) & (column == 0), (row == 1) & (column == 1), row != column]

    def hyper_analysis(self, latent: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Computes the hyper-latent z.

        Args:
            latent: [h,w,C], 10 fractional bits, h and w multiples of 4.
            condition: [h,w,16].

        Returns:
            int64 [h/4,w/4,Cz] with 10 fractional bits.
        """
        x = np.clip(latent, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)
        x = self._hidden("analysis_0", np.concatenate([x, condition], axis=-1))
        x = self._layers["analysis_2"](self._hidden("analysis_1", x, 2), 2)
        return x.astype(np.int64) << HYPER_GAIN_BITS

    def hyper_latent_prior(self, condition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and log2 scale of z, int64 [h/4,w/4,Cz] with 10 fractional bits."""
        x = self._layers["hyper_prior"](area_pool(condition, 4)).astype(np.int64)
        mean, log2_scale = np.split(x, 2, axis=-1)
        return mean << HYPER_GAIN_BITS, log2_scale

    def hyper_log2_step(self, condition: np.ndarray) -> np.ndarray | None:
        """Returns log2 of the learnt step of z before clipping, or None without a learnt step.

        The result is int64 [h/4,w/4,Cz] with 10 fractional bits. Without a learnt step, z is
        rounded to integers.
        """
        if "hyper_log2_step" not in self._layers:
            return None
        return self._layers["hyper_log2_step"](area_pool(condition, 4)).astype(np.int64)

    def hyper_passes(self, height: int, width: int) -> list[np.ndarray]:
        """Returns the cells of z that each pass codes, bool [h,w] each.

        A network without a context for z has a single pass.
        """
        if "hyper1_context" not in self._layers:
            return [np.ones((height, width), bool)]
        return self.passes(height, width)

    def hyper_pass_parameters(
        self,
        number: int,
        prior: tuple[np.ndarray, np.ndarray],
        known: np.ndarray,
        condition: np.ndarray,
        where: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and log2 scale of the P cells of z that pass 1 or 2 codes.

        Args:
            number: Number of the pass, 1 or 2.
            prior: Mean and log2 scale from `hyper_latent_prior`.
            known: int64 [h/4,w/4,Cz], values of earlier passes minus the mean of the prior, with 10
                fractional bits; 0 elsewhere.
            condition: [h,w,16].
            where: bool [h/4,w/4], the cells.

        Returns:
            Mean and log2 scale, int64 [P,Cz] with 10 fractional bits.
        """
        context = self._layers[f"hyper{number}_context"]
        x = context.rescale(context.accumulate_at(hyper_activations(known), where))
        x += self._layers[f"hyper{number}_0"](area_pool(condition, 4)[where])
        x = self._layers[f"hyper{number}_1"](np.clip(x, 0.0, ACTIVATION_LIMIT)).astype(np.int64)
        x += np.concatenate([prior[0][where] >> HYPER_GAIN_BITS, prior[1][where]], axis=-1)
        mean, log2_scale = np.split(np.clip(x, -ACTIVATION_LIMIT, ACTIVATION_LIMIT), 2, axis=-1)
        return mean << HYPER_GAIN_BITS, log2_scale

    def hyper_synthesis(self, z: np.ndarray, condition: np.ndarray) -> np.ndarray:
        """Computes features [h,w,width + 16] from z.

        Args:
            z: int64 [h/4,w/4,Cz] with 10 fractional bits.
            condition: [h,w,16].
        """
        x = hyper_activations(z)
        x = self._hidden("synthesis_0", np.concatenate([x, area_pool(condition, 4)], axis=-1))
        x = depth_to_space(self._hidden("synthesis_1", x), 2)
        x = self._hidden("synthesis_2", np.concatenate([x, area_pool(condition, 2)], axis=-1))
        x = depth_to_space(self._hidden("synthesis_3", x), 2)
        return np.concatenate([x, condition], axis=-1)

    def pass_parameters(
        self, number: int, features: np.ndarray, known: np.ndarray, where: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and log2 scale of the P latent pixels that a pass codes.

        Args:
            number: Number of the pass, 0 to 2.
            features: [h,w,width + 16] from `hyper_synthesis`.
            known: [h or more,w or more,C] with 10 fractional bits, values of earlier passes, 0
                elsewhere. Rows and columns beyond h and w continue the context.
            where: bool [h,w], the pixels.

        Returns:
            Mean and log2 scale, int64 [P,C] with 10 fractional bits.
        """
        if number == 0:
            x = self._layers["pass0_1"](self._hidden("pass0_0", features[where]))
        else:
            x = np.clip(known, -ACTIVATION_LIMIT, ACTIVATION_LIMIT)
            context = self._layers[f"pass{number}_context"]
            x = context.rescale(context.accumulate_at(x, where))
            x += self._layers[f"pass{number}_0"](features[where])
            x = self._hidden(f"pass{number}_1", np.clip(x, 0.0, ACTIVATION_LIMIT))
            x = self._layers[f"pass{number}_2"](x)
        mean, log2_scale = np.split(x.astype(np.int64), 2, axis=-1)
        return mean, log2_scale
