"""The fusion module in PyTorch: the part of `rdc_jax.models.fusion` that a decoder needs."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch
from rdc_jax.interop.torch.networks import Networks, make_unet
from rdc_jax.interop.torch.timesteps import Timesteps

MIN_DEVIATION = 2.0**-6


class Decoded(NamedTuple):
    """What the decoder of the base codec knows.

    Attributes:
        latent: y_c [B,C,h,w], the faithful latent.
        deviation: W [B,C,h,w], expected standard deviation of the clean latent around `latent`.
        features: [B,3C,h,w], see `Networks.prior_features`.
        output: V [B,C,h,w] of the base's denoiser, or None without a denoiser that predicts v.
        timesteps: Timesteps of the latent.
    """

    latent: Tensor
    deviation: Tensor
    features: Tensor
    output: Tensor | None
    timesteps: Timesteps


def decoded_latent(
    networks: Networks, yhat: Tensor, timesteps: Timesteps, mean: Tensor, scale: Tensor
) -> Decoded:
    """Computes the base codec's one-step latent and the expected size of its error.

    Args:
        networks: Networks of the base codec.
        yhat: Noisy latent [B,C,h,w].
        timesteps: Timesteps of the latent.
        mean: Mean of the prior [B,C,h,w].
        scale: Standard deviation of the prior [B,C,h,w].
    """
    z = networks.standardize(yhat, networks.steps_at_pixels(timesteps), mean, scale)
    latent, output = yhat, None
    if networks.unet is not None:
        output, own = networks.run_unet(yhat, timesteps, mean, scale)
        latent = own.clean_estimate(output, networks.prediction)
    if not can_start_from_base(networks):
        output = None
    return Decoded(latent, scale * z.sigma, networks.prior_features(z), output, timesteps)


def can_start_from_base(networks: Networks) -> bool:
    """Returns True if the transform can start as a copy of the base's denoiser.

    The denoiser must know the prior and predict v.
    """
    known = networks.prior_conditioning and networks.prediction == "v"
    return networks.unet is not None and known


class Fusion(nn.Module):
    """The transform (a U-Net) of a fusion module, from the section `fusion` of its config."""

    def __init__(self, fusion: Mapping[str, Any], networks: Networks):
        super().__init__()
        self.from_base = bool(fusion["from_base"]) and can_start_from_base(networks)
        fields = networks.unet_fields if self.from_base else fusion["transform"]
        channels = networks.latent_channels
        self.latent_unit = networks.latent_unit
        self.transform = make_unet(6 * channels + 2, 2 * channels, fields, None)

    def velocity(self, noisy: Tensor, u: float, decoded: Decoded) -> Tensor:
        """Predicts v [B,C,h,w].

        Args:
            noisy: Noisy residual [B,C,h,w].
            u: Clock, 0..1.
            decoded: What the decoder of the base codec knows.
        """
        deviation = (decoded.deviation / self.latent_unit).clamp(min=MIN_DEVIATION)
        amplitudes = [noisy.new_full((len(noisy), 1, *noisy.shape[2:]), a) for a in alpha_sigma(u)]
        latent = decoded.latent / self.latent_unit
        parts = [decoded.features, noisy, latent, torch.log2(deviation) / 4.0, *amplitudes]
        output = self.transform(torch.cat(parts, dim=1), decoded.timesteps)
        delta, share = output.chunk(2, dim=1)
        if self.from_base:
            delta = delta - decoded.output
        return delta - functional.softplus(share) * noisy

    def sample(self, noise: Tensor, decoded: Decoded, steps: int) -> Tensor:
        """Returns the realistic latent [B,C,h,w], by DDIM of the residual.

        Args:
            noise: Starting noise [B,C,h,w].
            decoded: What the decoder of the base codec knows.
            steps: Number of sampler steps.
        """
        for n in range(steps):
            now, after = 1.0 - n / steps, 1.0 - (n + 1) / steps
            v = self.velocity(noise, now, decoded)
            alpha, sigma = alpha_sigma(now)
            clean, seed = alpha * noise - sigma * v, sigma * noise + alpha * v
            alpha, sigma = alpha_sigma(after)
            noise = alpha * clean + sigma * seed
        return decoded.latent + decoded.deviation * noise


def alpha_sigma(u: float) -> tuple[float, float]:
    """Returns the amplitudes of signal and noise at a clock value u in 0..1."""
    return math.cos(0.5 * math.pi * u), math.sin(0.5 * math.pi * u)
