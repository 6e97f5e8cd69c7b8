"""The entropy model: a mean-scale hyperprior with context in three passes.

It also reads the timesteps and the importance map.

    y -> hyper_analysis -> z (rounded, coded) -> hyper_synthesis -> features
    pass 0, pixels of even row and column:  features                      -> mean, log2 scale
    pass 1, pixels of odd row and column:   features + 4 known diagonals  -> mean, log2 scale
    pass 2, the others:                     features + 4 known neighbours -> mean, log2 scale

    known at a coded element:               mean + w (yhat - mean), w = s^2 / (s^2 + Delta^2 / 12)

(Balle et al. 2018; Minnen et al. 2018; He et al. 2021 for the checkerboard, whose first half is
split once more here: at 1/8 resolution neighbouring latents have much in common.) Mean and scale
describe the *clean* latent; the quantiser step is known exactly and enters the probability of a
symbol and the weight w, not the network. Later passes see the Wiener estimate of the clean
latent, not yhat: the dither of a channel with a step far above its scale would drown the others.
Timestep and importance enter every stage as hat functions (piecewise linear bases), which integers
reproduce exactly.

An element whose scale is far below its step is skipped (`silence_threshold`): universal
quantisation would spend about 2.5 s / Delta bits on it and take s^4 / (s^2 + Delta^2 / 12) off its
squared error. Below s / Delta = 0.4 that is a worse price than for any other element. The decoder
knows only its prior, from which the denoiser draws [ours].

z itself is rounded to integers and its prior is a function of the condition, unless a config adds

    hyper_step      a learnt step per channel and condition (`rdc_jax.models.hyper_latent`)
    hyper_context   the same three passes on the grid of z: passes 1 and 2 correct the prior by the
                    values that earlier passes coded, less their mean by the condition alone (so
                    that 0, also beyond the border, stands for the prior's expectation)

Both end in layers that start at zero, so that a network grown by them starts as it was.

Everything after z runs twice in the project: here in float32 for training, and in
`rdc_jax.entropy.integer_network` in exact fixed point for coding. That is why this network has
only 1x1 and 3x3 convolutions, ReLUs and depth-to-space. Keep the two in step.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rdc_jax.models.hyper_latent import (
    CodedHyperLatent,
    bounded_log2_step,
    coded_hyper_latent,
)
from rdc_jax.models.layers import area_pool, conv, depth_to_space

HYPER_DOWNSAMPLING = 4
HYPER_GAIN = 4.0
LOG2_RATIO_RANGE = (-7.0, 6.0)  # log2(scale / step) that the coder's tables cover
SCALES_PER_OCTAVE = 6  # of those tables


def pass_masks(height: int, width: int) -> list[jax.Array]:
    """Which pixels each pass codes, 1.0 or 0.0, float32 [1,h,w,1] per pass; they sum to 1."""
    row, column = jnp.arange(height)[:, None] % 2, jnp.arange(width)[None, :] % 2
    passes = [(row == 0) & (column == 0), (row == 1) & (column == 1), row != column]
    return [mask.astype(jnp.float32)[None, :, :, None] for mask in passes]


def bounded_log2_scale(log2_scale: jax.Array, log2_step: jax.Array | float) -> jax.Array:
    """log2 of the scale, kept where the coder's tables are; the gradient passes through."""
    low, high = LOG2_RATIO_RANGE
    bounded = jnp.clip(log2_scale, low + log2_step, high + log2_step)
    return log2_scale + jax.lax.stop_gradient(bounded - log2_scale)


def silence_threshold(silent_scales: int) -> float:
    """log2(scale / step) below which the coder's scale index is less than `silent_scales`."""
    return LOG2_RATIO_RANGE[0] + (silent_scales - 0.5) / SCALES_PER_OCTAVE


def wiener_weight(
    log2_scale: jax.Array, log2_step: jax.Array | float, silent_below: float | None = None
) -> jax.Array:
    """w = s^2 / (s^2 + Delta^2 / 12) in (0, 1), with s / Delta kept where the tables are.

    mean + w (yhat - mean) is the best linear estimate of a latent of scale s from yhat, its value
    plus uniform noise of step Delta.

    Args:
        log2_scale: Log2 s.
        log2_step: Log2 Delta.
        silent_below: Elements with log2(s / Delta) below this were skipped and have w = 0; None:
            all elements were sent.
    """
    log2_ratio = bounded_log2_scale(log2_scale, log2_step) - log2_step
    weight = 1.0 / (1.0 + jnp.exp2(-2.0 * log2_ratio) / 12.0)
    return weight if silent_below is None else jnp.where(log2_ratio < silent_below, 0.0, weight)


class Hyperprior(nn.Module):
    """The network of the module docstring.

    Attributes:
        latent_channels: C.
        hyper_channels: Cz.
        width: Of the hidden layers.
        latent_unit: A power of two. Latents are divided by it on the way in, means are multiplied
            by it on the way out, so that kernels see numbers of order one.
        silent_below: log2(scale / step) below which elements are skipped; None: none are.
        hyper_step: See the module docstring.
        hyper_context: See the module docstring.
    """

    latent_channels: int
    hyper_channels: int = 32
    width: int = 96
    latent_unit: float = 32.0
    silent_below: float | None = None
    hyper_step: bool = False
    hyper_context: bool = False

    def setup(self) -> None:
        w, c = self.width, self.latent_channels
        zeros = nn.initializers.zeros
        self.analysis_0 = conv(w)
        self.analysis_1 = conv(w, 3, 2)
        self.analysis_2 = conv(self.hyper_channels, 3, 2)
        self.hyper_prior = conv(2 * self.hyper_channels, 1, kernel_init=zeros)
        self.synthesis_0 = conv(w)
        self.synthesis_1 = conv(4 * w, 1)
        self.synthesis_2 = conv(w)
        self.synthesis_3 = conv(4 * w, 1)
        self.pass0_0 = conv(w, 1)
        self.pass0_1 = conv(2 * c, 1, kernel_init=zeros)
        self.pass1_context = conv(w, use_bias=False)
        self.pass1_0 = conv(w, 1)
        self.pass1_1 = conv(w, 1)
        self.pass1_2 = conv(2 * c, 1, kernel_init=zeros)
        self.pass2_context = conv(w, use_bias=False)
        self.pass2_0 = conv(w, 1)
        self.pass2_1 = conv(w, 1)
        self.pass2_2 = conv(2 * c, 1, kernel_init=zeros)
        if self.hyper_step:
            self.hyper_log2_step = conv(self.hyper_channels, 1, kernel_init=zeros)
        if self.hyper_context:
            self.hyper1_context = conv(w, use_bias=False)
            self.hyper1_0 = conv(w, 1)
            self.hyper1_1 = conv(2 * self.hyper_channels, 1, kernel_init=zeros)
            self.hyper2_context = conv(w, use_bias=False)
            self.hyper2_0 = conv(w, 1)
            self.hyper2_1 = conv(2 * self.hyper_channels, 1, kernel_init=zeros)

    def hyper_analysis(self, latent: jax.Array, condition: jax.Array) -> jax.Array:
        """latent [B,h,w,C], condition [B,h,w,16] -> z [B,h/4,w/4,Cz], not yet rounded."""
        x = jnp.concatenate([latent / self.latent_unit, condition], axis=-1)
        x = nn.relu(self.analysis_0(x))
        x = nn.relu(self.analysis_1(x))
        return HYPER_GAIN * self.analysis_2(x)

    def hyper_latent_prior(self, condition: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log2 scale of z, each [B,h/4,w/4,Cz], from the condition alone."""
        mean, log2_scale = jnp.split(self.hyper_prior(area_pool(condition, 4)), 2, axis=-1)
        return HYPER_GAIN * mean, log2_scale

    def hyper_latent_log2_step(self, condition: jax.Array) -> jax.Array | None:
        """log2 of the step of z [B,h/4,w/4,Cz]; None: integers."""
        if not self.hyper_step:
            return None
        return bounded_log2_step(self.hyper_log2_step(area_pool(condition, 4)))

    def hyper_latent_given(self, z: jax.Array, condition: jax.Array) -> CodedHyperLatent:
        """z of `hyper_analysis` as both sides of coding see it, with its prior."""
        mean, log2_scale = self.hyper_latent_prior(condition)
        log2_step = self.hyper_latent_log2_step(condition)
        coded = coded_hyper_latent(z, mean, log2_scale, log2_step)
        if not self.hyper_context:
            return coded
        first, *later = pass_masks(*z.shape[1:3])
        known = first * (coded.value - mean)
        for number, mask in enumerate(later, start=1):
            more_mean, more_log2_scale = self.hyper_correction(number, known, condition)
            own = coded_hyper_latent(z, mean + more_mean, log2_scale + more_log2_scale, log2_step)
            known = known + mask * (own.value - mean)
            coded = jax.tree.map(lambda new, old, here=mask > 0: jnp.where(here, new, old),
                                 own, coded)  # fmt: skip
        return coded

    def hyper_correction(
        self, number: int, known: jax.Array, condition: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Corrections of mean and log2 scale of z for one pass, [B,h/4,w/4,Cz] each.

        They are valid at the pixels of that pass.

        Args:
            number: 1 or 2.
            known: Coded values less the mean of `hyper_latent_prior` where earlier passes have
                coded, 0 elsewhere, [B,h/4,w/4,Cz].
            condition: [B,h,w,16].
        """
        if number == 1:
            context, condition_layer, output = self.hyper1_context, self.hyper1_0, self.hyper1_1
        else:
            context, condition_layer, output = self.hyper2_context, self.hyper2_0, self.hyper2_1
        x = condition_layer(area_pool(condition, 4)) + context(known / HYPER_GAIN)
        mean, log2_scale = jnp.split(output(nn.relu(x)), 2, axis=-1)
        return HYPER_GAIN * mean, log2_scale

    def hyper_synthesis(self, z: jax.Array, condition: jax.Array) -> jax.Array:
        """z as coded -> features [B,h,w,width + 16]."""
        x = jnp.concatenate([z / HYPER_GAIN, area_pool(condition, 4)], axis=-1)
        x = nn.relu(self.synthesis_0(x))
        x = nn.relu(depth_to_space(self.synthesis_1(x), 2))
        x = jnp.concatenate([x, area_pool(condition, 2)], axis=-1)
        x = nn.relu(self.synthesis_2(x))
        x = nn.relu(depth_to_space(self.synthesis_3(x), 2))
        return jnp.concatenate([x, condition], axis=-1)

    def pass_parameters(
        self, number: int, features: jax.Array, known: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Mean and log2 scale, [B,h,w,C] each, valid at the pixels of one pass.

        Args:
            number: 0, 1 or 2.
            features: Of `hyper_synthesis`.
            known: Wiener estimates where earlier passes have coded, 0 elsewhere, [B,h,w,C].
        """
        if number == 0:
            x = self.pass0_1(nn.relu(self.pass0_0(features)))
        elif number == 1:
            x = self.pass1_0(features) + self.pass1_context(known / self.latent_unit)
            x = self.pass1_2(nn.relu(self.pass1_1(nn.relu(x))))
        else:
            x = self.pass2_0(features) + self.pass2_context(known / self.latent_unit)
            x = self.pass2_2(nn.relu(self.pass2_1(nn.relu(x))))
        mean, log2_scale = jnp.split(x, 2, axis=-1)
        return self.latent_unit * mean, log2_scale

    def parameters_given(
        self, z: jax.Array, noisy_latent: jax.Array, condition: jax.Array, log2_step: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Mean and log2 scale of every latent element, [B,h,w,C] each.

        Args:
            z: As coded.
            noisy_latent: yhat; each pass uses it as context only where earlier passes have coded.
            condition: [B,h,w,16].
            log2_step: Of the quantiser in latent units; broadcasts to [B,h,w,C].
        """
        features = self.hyper_synthesis(z, condition)
        known = mean = log2_scale = jnp.zeros((1, 1, 1, 1))
        for number, mask in enumerate(pass_masks(*noisy_latent.shape[1:3])):
            own_mean, own_log2_scale = self.pass_parameters(number, features, known)
            weight = wiener_weight(own_log2_scale, log2_step, self.silent_below)
            known = known + mask * (own_mean + weight * (noisy_latent - own_mean))
            mean, log2_scale = mean + mask * own_mean, log2_scale + mask * own_log2_scale
        return mean, log2_scale

    def __call__(
        self, latent: jax.Array, noisy_latent: jax.Array, condition: jax.Array, log2_step: jax.Array
    ) -> tuple[jax.Array, ...]:
        """Touches every parameter (for init): returns z, its prior, mean and log2 scale."""
        z = self.hyper_analysis(latent, condition)
        coded = self.hyper_latent_given(z, condition)
        return (
            z,
            coded.mean,
            coded.log2_scale,
            *self.parameters_given(z, noisy_latent, condition, log2_step),
        )

    def matched_to(
        self, params: Mapping[str, Any], mean: jax.Array, deviation: jax.Array
    ) -> dict[str, Any]:
        """Parameters whose output starts at each latent channel's mean and deviation.

        Args:
            params: Of this network.
            mean: Of each channel, [C].
            deviation: Of each channel, [C].
        """
        bias = jnp.concatenate([mean / self.latent_unit, jnp.log2(deviation)])
        outputs = ("pass0_1", "pass1_2", "pass2_2")
        return {**params, **{k: {**params[k], "bias": jnp.copy(bias)} for k in outputs}}
