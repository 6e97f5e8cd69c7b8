"""The decoder's networks in PyTorch, built from a model folder's config: schedule, prior, U-Net.

The mathematics is that of `rdc_jax.diffusion` and `rdc_jax.models.networks`, where it is
explained; latents are [B,C,h,w] float32 here.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rdc_jax.diffusion.schedule_knots import KNOTS
from rdc_jax.entropy.tables import MIN_LOG2_SCALE, SCALES_PER_OCTAVE
from rdc_jax.interop.torch import diffusers_networks
from rdc_jax.interop.torch.autoencoder import TransformAutoencoder
from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch
from rdc_jax.interop.torch.mean_scale import MeanScaleAutoencoder
from rdc_jax.interop.torch.timesteps import LevelTimesteps, Timesteps
from rdc_jax.interop.torch.unet import UNet

PROFILE_GAIN = 4.0
PROFILE_KNOTS = 8
PROFILE_LOG2_RANGE = (-2.0, 6.0)
AUTOENCODERS = {
    "transform": TransformAutoencoder,
    "kl": diffusers_networks.KLAutoencoder,
    "gdn": MeanScaleAutoencoder,
}


class Standardized(NamedTuple):
    """A noisy latent in the prior's coordinates, [B,C,h,w] each."""

    noisy: Tensor  # y'_t, about unit variance
    alpha: Tensor
    sigma: Tensor
    log2_snr: Tensor
    mean: Tensor
    scale: Tensor

    def clean_estimate(self, output: Tensor, prediction: str) -> Tensor:
        """The clean latent (latent units) that a network output stands for."""
        if prediction == "x0":
            x0 = output
        elif prediction == "eps":
            x0 = (self.noisy - self.sigma * output) / self.alpha
        else:
            x0 = self.alpha * self.noisy - self.sigma * output
        return self.mean + self.scale * x0


class Networks(nn.Module):
    """Autoencoder, U-Net (or None) and the constants they share.

    model: the `model` section of a config. latent_unit: of the entropy model, a power of two.
    """

    def __init__(self, model: Mapping[str, Any], latent_unit: float):
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
        silent = int(model.get("silent_scales", 0))
        self.silent_below = MIN_LOG2_SCALE + (silent - 0.5) / SCALES_PER_OCTAVE if silent else None
        schedule = dict(model["schedule"])
        knots = KNOTS[schedule.pop("kind")](**schedule)
        for name, values in zip(("knot_timesteps", "knot_log_snr"), knots, strict=True):
            tensor = torch.tensor(values, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)
        octaves = torch.zeros(PROFILE_KNOTS, self.latent_channels)
        self.step_octaves = nn.Parameter(octaves) if model.get("step_profile") else None
        self.context = nn.Parameter(torch.zeros(*context)) if context else None

    @property
    def downsampling(self) -> int:
        """Image pixels per latent pixel along a side."""
        return self.autoencoder.downsampling

    def steps(self, t: Tensor) -> Tensor:
        """Quantiser step Delta of each channel at timesteps t [...]: [...,C], or [...,1]."""
        log_snr = interpolate(t, self.knot_timesteps, self.knot_log_snr)
        step = (math.sqrt(12.0) * torch.exp(-0.5 * log_snr))[..., None]
        if self.step_octaves is None:
            return step
        knots = torch.arange(PROFILE_KNOTS, dtype=torch.float32, device=t.device)
        place = t[..., None] / 1000.0 * (PROFILE_KNOTS - 1)
        hats = functional.relu(1.0 - (place - knots).abs())
        octaves = (PROFILE_GAIN * hats @ self.step_octaves).clamp(*PROFILE_LOG2_RANGE)
        return step * torch.exp2(octaves)

    def steps_at_pixels(self, timesteps: Timesteps) -> Tensor:
        """Quantiser step of every latent element, [B,C or 1,h,w] ([B,..,1,1] for scalars)."""
        if isinstance(timesteps, LevelTimesteps):
            return timesteps.at_pixels(self.steps(timesteps.values))
        if timesteps.ndim == 4:
            return self.steps(timesteps[:, 0]).permute(0, 3, 1, 2)
        return self.steps(timesteps)[:, :, None, None]

    def standardize(
        self, yhat: Tensor, step: Tensor, mean: Tensor | float = 0.0, scale: Tensor | float = 1.0
    ) -> Standardized:
        """yhat in the coordinates of the prior (mean, scale), noise from `step`."""
        mean, scale = (torch.as_tensor(x).to(yhat).expand_as(yhat) for x in (mean, scale))
        kappa = (step / math.sqrt(12.0)).expand_as(yhat)
        inverse_norm = torch.rsqrt(scale.square() + kappa.square())
        noisy = (yhat - mean) * inverse_norm
        alpha, sigma = scale * inverse_norm, kappa * inverse_norm
        if self.silent_below is not None:
            silent = scale < 2.0**self.silent_below * step
            noisy, alpha = noisy.masked_fill(silent, 0.0), alpha.masked_fill(silent, 0.0)
            sigma = sigma.masked_fill(silent, 1.0)
        return Standardized(noisy, alpha, sigma, torch.log2(scale / kappa), mean, scale)

    def prior_features(self, z: Standardized) -> Tensor:
        """What a network that knows the prior sees, [B,3C,h,w]: y'_t, Wiener estimate, SNR."""
        wiener = z.clean_estimate(torch.zeros_like(z.noisy), "v")
        return torch.cat([z.noisy, wiener / self.latent_unit, z.log2_snr / 4.0], dim=1)

    def run_unet(
        self, yhat: Tensor, timesteps: Timesteps, mean: Tensor, scale: Tensor
    ) -> tuple[Tensor, Standardized]:
        """Raw U-Net output [B,C,h,w] and the coordinates it is expressed in."""
        prior = (mean, scale) if self.prior_conditioning else ()
        z = self.standardize(yhat, self.steps_at_pixels(timesteps), *prior)
        inputs = self.prior_features(z) if self.prior_conditioning else z.noisy
        context = None
        if self.context is not None:
            context = self.context.expand(yhat.shape[0], *self.context.shape)
        return self.unet(inputs, timesteps, context), z

    def denoise(self, yhat: Tensor, timesteps: Timesteps, mean: Tensor, scale: Tensor) -> Tensor:
        """The U-Net's estimate of the clean latent, [B,C,h,w], or yhat itself without a U-Net."""
        if self.unet is None:
            return yhat
        output, z = self.run_unet(yhat, timesteps, mean, scale)
        return z.clean_estimate(output, self.prediction)

    def decode(self, latent: Tensor) -> Tensor:
        """latent [B,C,h,w] -> images [B,3,fh,fw], about [-1,1], not clipped."""
        return self.autoencoder.decode(latent)


def make_unet(
    channels_in: int, channels_out: int, fields: Mapping[str, Any], context_width: int | None
) -> nn.Module:
    """A U-Net of a config's fields: ours without transformers, else that of diffusers."""
    heads = (*fields.get("heads", (5, 10, 20, 0)), fields.get("mid_heads", 20))
    if any(heads):
        return diffusers_networks.make_unet(channels_in, channels_out, fields, context_width)
    own = {key: value for key, value in fields.items() if key not in ("heads", "mid_heads")}
    return UNet(channels_in, channels_out, **own)


def interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Piecewise-linear function through increasing knots, constant beyond the ends; like x."""
    x = x.float().clamp(knots[0], knots[-1])
    right = (x[..., None] >= knots[:-1]).sum(-1)  # not a search, which exporters lack
    x0, x1, y0, y1 = knots[right - 1], knots[right], values[right - 1], values[right]
    return y0 + (x - x0) / (x1 - x0) * (y1 - y0)
