"""The decoder's networks in PyTorch, built from the config of a model folder.

The mathematics is that of `rdc_jax.diffusion` and `rdc_jax.models.networks`, which explain it.
Latents are float32 [B,C,h,w] here.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rdc_jax.diffusion.schedule_knots import KNOTS, STEP_PROFILE_KNOTS
from rdc_jax.diffusion.units import MAX_TIMESTEP
from rdc_jax.entropy.tables import MIN_LOG2_SCALE, SCALES_PER_OCTAVE
from rdc_jax.interop.torch import diffusers_networks
from rdc_jax.interop.torch.autoencoder import TransformAutoencoder
from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch
from rdc_jax.interop.torch.mean_scale import MeanScaleAutoencoder
from rdc_jax.interop.torch.timesteps import LevelTimesteps, Timesteps
from rdc_jax.interop.torch.unet import UNet

PROFILE_GAIN = 4.0
PROFILE_LOG2_RANGE = (-2.0, 6.0)
AUTOENCODERS = {
    "transform": TransformAutoencoder,
    "kl": diffusers_networks.KLAutoencoder,
    "gdn": MeanScaleAutoencoder,
}


class Standardized(NamedTuple):
    """A noisy latent, standardised by the prior. All tensors are [B,C,h,w]."""

    noisy: Tensor  # y'_t, of about unit variance
    alpha: Tensor
    sigma: Tensor
    log2_snr: Tensor
    mean: Tensor
    scale: Tensor

    def clean_estimate(self, output: Tensor, prediction: str) -> Tensor:
        """Converts a network output to the clean latent, in latent units.

        Args:
            output: [B,C,h,w].
            prediction: "x0", "eps" or "v".
        """
        if prediction == "x0":
            x0 = output
        elif prediction == "eps":
            x0 = (self.noisy - self.sigma * output) / self.alpha
        else:
            x0 = self.alpha * self.noisy - self.sigma * output
        return self.mean + self.scale * x0


class Networks(nn.Module):
    """Autoencoder, U-Net (or None) and shared constants of a codec."""

    def __init__(self, model: Mapping[str, Any], latent_unit: float):
        """Builds networks with random weights.

        Args:
            model: The `model` section of a config.
            latent_unit: Latent unit of the entropy model, a power of two.
        """
        super().__init__()
        fields = dict(model["autoencoder"])
        self.autoencoder = AUTOENCODERS[fields.pop("kind")](**fields)
        self.latent_channels = int(model["latent_channels"])
        self.latent_unit = float(latent_unit)
        self.prior_conditioning = bool(model["prior_conditioning"])
        self.prediction = model["prediction"]
        if self.prediction not in ("x0", "eps", "v"):
            raise ValueError(f"prediction must be x0, eps or v, got {self.prediction!r}")
        self.unet_fields = model["unet"]
        context = model.get("context_shape")
        self.unet = None
        if self.unet_fields is not None:
            inputs = self.latent_channels * (3 if self.prior_conditioning else 1)
            width = context[1] if context else None
            self.unet = make_unet(inputs, self.latent_channels, self.unet_fields, width)
        # Elements below this log2(scale / step) are skipped, see skip mode in `latent_coding`.
        count = int(model.get("silent_scales", 0))
        self.silent_below = MIN_LOG2_SCALE + (count - 0.5) / SCALES_PER_OCTAVE if count else None
        schedule = dict(model["schedule"])
        knots = KNOTS[schedule.pop("kind")](**schedule)
        for name, values in zip(("knot_timesteps", "knot_log_snr"), knots, strict=True):
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)
        octaves = torch.zeros(STEP_PROFILE_KNOTS, self.latent_channels)
        self.step_octaves = nn.Parameter(octaves) if model.get("step_profile") else None
        self.context = nn.Parameter(torch.zeros(*context)) if context else None

    @property
    def downsampling(self) -> int:
        """Image pixels per latent pixel along a side."""
        return self.autoencoder.downsampling

    def steps(self, t: Tensor) -> Tensor:
        """Returns the quantiser step Delta of each channel, [...,C] or [...,1], at t [...]."""
        log_snr = interpolate(t, self.knot_timesteps, self.knot_log_snr)
        step = (math.sqrt(12.0) * torch.exp(-0.5 * log_snr))[..., None]
        if self.step_octaves is None:
            return step
        knots = torch.arange(STEP_PROFILE_KNOTS, dtype=torch.float32, device=t.device)
        place = t[..., None] / float(MAX_TIMESTEP) * (STEP_PROFILE_KNOTS - 1)
        hats = functional.relu(1.0 - (place - knots).abs())
        octaves = (PROFILE_GAIN * hats @ self.step_octaves).clamp(*PROFILE_LOG2_RANGE)
        return step * torch.exp2(octaves)

    def steps_at_pixels(self, timesteps: Timesteps) -> Tensor:
        """Returns the quantiser step of every element, [B,C or 1,h,w].

        With one timestep per image, h and w are 1.
        """
        if isinstance(timesteps, LevelTimesteps):
            return timesteps.at_pixels(self.steps(timesteps.values))
        if timesteps.ndim == 4:
            return self.steps(timesteps[:, 0]).permute(0, 3, 1, 2)
        return self.steps(timesteps)[:, :, None, None]

    def standardize(
        self, yhat: Tensor, step: Tensor, mean: Tensor | float = 0.0, scale: Tensor | float = 1.0
    ) -> Standardized:
        """Standardises a noisy latent by its prior.

        Args:
            yhat: Noisy latent [B,C,h,w].
            step: Quantiser step, broadcastable to `yhat`. It determines the noise.
            mean: Mean of the prior, broadcastable to `yhat`.
            scale: Standard deviation of the prior, broadcastable to `yhat`.
        """
        mean, scale = (torch.as_tensor(x).to(yhat).expand_as(yhat) for x in (mean, scale))
        kappa = (step / math.sqrt(12.0)).expand_as(yhat)
        inverse_norm = torch.rsqrt(scale.square() + kappa.square())
        noisy = (yhat - mean) * inverse_norm
        alpha, sigma = scale * inverse_norm, kappa * inverse_norm
        if self.silent_below is not None:
            skipped = scale < 2.0**self.silent_below * step
            noisy, alpha = noisy.masked_fill(skipped, 0.0), alpha.masked_fill(skipped, 0.0)
            sigma = sigma.masked_fill(skipped, 1.0)
        return Standardized(noisy, alpha, sigma, torch.log2(scale / kappa), mean, scale)

    def prior_features(self, z: Standardized) -> Tensor:
        """Returns the input of a network that knows the prior: y'_t, Wiener estimate, SNR.

        The result is [B,3C,h,w].
        """
        wiener = z.clean_estimate(torch.zeros_like(z.noisy), "v")
        return torch.cat([z.noisy, wiener / self.latent_unit, z.log2_snr / 4.0], dim=1)

    def run_unet(
        self, yhat: Tensor, timesteps: Timesteps, mean: Tensor, scale: Tensor
    ) -> tuple[Tensor, Standardized]:
        """Runs the U-Net.

        Args:
            yhat: Noisy latent [B,C,h,w].
            timesteps: Timesteps of the latent.
            mean: Mean of the prior [B,C,h,w].
            scale: Standard deviation of the prior [B,C,h,w].

        Returns:
            The raw output [B,C,h,w], and the standardised latent it refers to.
        """
        prior = (mean, scale) if self.prior_conditioning else ()
        z = self.standardize(yhat, self.steps_at_pixels(timesteps), *prior)
        inputs = self.prior_features(z) if self.prior_conditioning else z.noisy
        context = None
        if self.context is not None:
            context = self.context.expand(yhat.shape[0], *self.context.shape)
        return self.unet(inputs, timesteps, context), z

    def denoise(self, yhat: Tensor, timesteps: Timesteps, mean: Tensor, scale: Tensor) -> Tensor:
        """Estimates the clean latent [B,C,h,w]. Without a U-Net, the result is `yhat`.

        The arguments are those of `run_unet`.
        """
        if self.unet is None:
            return yhat
        output, z = self.run_unet(yhat, timesteps, mean, scale)
        return z.clean_estimate(output, self.prediction)

    def decode(self, latent: Tensor) -> Tensor:
        """Decodes a latent [B,C,h,w] to images [B,3,fh,fw] in about [-1,1], not clipped."""
        return self.autoencoder.decode(latent)


def make_unet(
    channels_in: int, channels_out: int, fields: Mapping[str, Any], context_width: int | None
) -> nn.Module:
    """Builds a U-Net: ours for layouts without transformers, otherwise that of diffusers.

    Args:
        channels_in: Number of input channels.
        channels_out: Number of output channels.
        fields: The `unet` section of a config.
        context_width: Width of the context of the cross-attention, or None without one.
    """
    heads = (*fields.get("heads", (5, 10, 20, 0)), fields.get("mid_heads", 20))
    if any(heads):
        return diffusers_networks.make_unet(channels_in, channels_out, fields, context_width)
    own = {key: value for key, value in fields.items() if key not in ("heads", "mid_heads")}
    return UNet(channels_in, channels_out, **own)


def interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Evaluates a piecewise-linear function, constant beyond its ends.

    Args:
        x: Positions, of any shape.
        knots: Increasing knots [n].
        values: Values at the knots [n].

    Returns:
        float32 with the shape of `x`.
    """
    x = x.float().clamp(knots[0], knots[-1])
    right = (x[..., None] >= knots[:-1]).sum(-1)  # ONNX exporters do not support searchsorted
    x0, x1, y0, y1 = knots[right - 1], knots[right], values[right - 1], values[right]
    return y0 + (x - x0) / (x1 - x0) * (y1 - y0)
