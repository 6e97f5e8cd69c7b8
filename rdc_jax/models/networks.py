"""The codec's networks, built from a config, with the few functions that join them.

    networks = Networks.from_config(config.model)
    params   = networks.init(jax.random.key(0))     {"autoencoder", "hyperprior", "unet"}

A codec without a denoiser has no "unet". The same code serves every size: `tiny` pairs the
transform autoencoder with an attention-free U-Net, `sd21` has the layout of Stable Diffusion 2.1,
and `hyperprior` is a codec without a denoiser.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rdc_jax.diffusion import preconditioning, schedule
from rdc_jax.diffusion.units import MAX_TIMESTEP
from rdc_jax.models.attention import Attend
from rdc_jax.models.autoencoder import TransformAutoencoder
from rdc_jax.models.autoencoder_kl import AutoencoderKL
from rdc_jax.models.conditions import CONDITION_CHANNELS
from rdc_jax.models.hyperprior import Hyperprior, silence_threshold
from rdc_jax.models.mean_scale import MeanScaleAutoencoder, MeanScaleHyperprior
from rdc_jax.models.step_profile import StepProfile
from rdc_jax.models.timesteps import LevelTimesteps, Timesteps
from rdc_jax.models.unet import UNet

AUTOENCODERS = {"transform": TransformAutoencoder, "kl": AutoencoderKL, "gdn": MeanScaleAutoencoder}
HYPERPRIORS = {"context": Hyperprior, "mean_scale": MeanScaleHyperprior}
PARTS = ("autoencoder", "hyperprior", "unet", "step_profile", "context")
"""Names that the parts of a codec's parameters can have."""
SCHEDULES = {"scaled_linear": schedule.scaled_linear, "geometric": schedule.geometric}


@dataclasses.dataclass(frozen=True)
class Networks:
    """Modules and the constants they share; holds no parameters."""

    autoencoder: nn.Module
    hyperprior: Hyperprior | MeanScaleHyperprior
    unet: UNet | None  # None: the decoder takes the latent as it was coded
    schedule: schedule.NoiseSchedule
    step_profile: StepProfile | None  # None: all channels have the schedule's step
    latent_channels: int
    prediction: preconditioning.Prediction
    prior_conditioning: bool  # the U-Net sees the entropy model's mean and scale
    context_shape: tuple[int, int] | None  # (tokens, width) of a constant cross-attention context
    dither: bool = True  # False: plain rounding around the mean, for codecs without a denoiser
    silent_scales: int = 0  # elements at one of this many lowest scales of the coder are skipped

    @classmethod
    def from_config(
        cls,
        model: Mapping[str, Any],
    ) -> "Networks":
        """The networks of the `model` section of a config (plain mapping), see configs/tiny.py."""
        channels = int(model["latent_channels"])
        autoencoder, hyperprior = _hashable(model["autoencoder"]), _hashable(model["hyperprior"])
        unet, dither = model["unet"], bool(model.get("dither", True))
        if unet is not None:
            unet = UNet(channels, **_hashable(unet))
            if not dither:
                raise ValueError("dither=False needs unet=None: a denoiser expects uniform noise")
        silent_scales = int(model.get("silent_scales", 0))
        if silent_scales:
            if unet is None or not model["prior_conditioning"] or model["prediction"] == "eps":
                raise ValueError("silent_scales need a U-Net that knows the prior, with v or x0")
            hyperprior["silent_below"] = silence_threshold(silent_scales)
        noise = dict(model["schedule"])
        context = model.get("context_shape")
        return cls(
            autoencoder=AUTOENCODERS[autoencoder.pop("kind")](**autoencoder),
            hyperprior=HYPERPRIORS[hyperprior.pop("kind", "context")](channels, **hyperprior),
            unet=unet,
            schedule=SCHEDULES[noise.pop("kind")](**noise),
            step_profile=StepProfile(channels) if model.get("step_profile") else None,
            latent_channels=channels,
            prediction=model["prediction"],
            prior_conditioning=bool(model["prior_conditioning"]),
            context_shape=tuple(context) if context else None,
            dither=dither,
            silent_scales=silent_scales,
        )

    def computing_with(self, dtype: Any, remat: str, attend: Attend) -> "Networks":
        """The same networks, computed otherwise; parameters stay the same.

        Args:
            dtype: Of the computation in autoencoder and U-Net; the entropy model stays in float32.
            remat: See `UNet`.
            attend: See `UNet`.
        """
        unet = self.unet and self.unet.clone(dtype=dtype, remat=remat, attend=attend)
        return dataclasses.replace(self, autoencoder=self.autoencoder.clone(dtype=dtype), unet=unet)

    @property
    def dtype(self) -> Any:
        """Of the computation in autoencoder and U-Net."""
        return self.autoencoder.dtype

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Fresh parameters, plain nested dicts of float32 (works under eval_shape and jit)."""
        keys = jax.random.split(key, 3)
        image = jnp.zeros((1, 64, 64, 3))
        latent = jnp.zeros((1, 8, 8, self.latent_channels))
        condition = jnp.zeros((1, 8, 8, CONDITION_CHANNELS))
        log2_step = jnp.zeros((1, 1, 1, 1))
        hyperprior = self.hyperprior.init(keys[1], latent, latent, condition, log2_step)
        params = {
            "autoencoder": self.autoencoder.init(keys[0], image)["params"],
            "hyperprior": hyperprior["params"],
        }
        if self.unet is not None:
            x = jnp.zeros((1, 8, 8, self.unet_channels))
            context = jnp.zeros((1, *self.context_shape)) if self.context_shape else None
            params["unet"] = self.unet.init(keys[2], x, jnp.zeros((1,)), context)["params"]
        if self.step_profile is not None:
            params["step_profile"] = self.step_profile.init(keys[0], jnp.zeros((1,)))["params"]
        if self.context_shape:
            params["context"] = {"empty_prompt": jnp.zeros(self.context_shape)}
        return params

    @property
    def downsampling(self) -> int:
        """Image pixels per latent pixel along a side."""
        return self.autoencoder.downsampling

    @property
    def silent_below(self) -> float | None:
        """log2 (scale / step) below which an element is skipped; None: all are sent."""
        return silence_threshold(self.silent_scales) if self.silent_scales else None

    @property
    def unet_channels(self) -> int:
        """Input channels of the U-Net: y'_t, and with the prior also Wiener estimate and SNR."""
        return self.latent_channels * (3 if self.prior_conditioning else 1)

    def encode(self, params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """images [B,H,W,3] in [-1,1] -> clean latent [B,H/f,W/f,C], f = `downsampling`."""
        return self.autoencoder.apply({"params": params["autoencoder"]}, images, method="encode")

    def decode(self, params: Mapping[str, Any], latent: jax.Array) -> jax.Array:
        """latent [B,h,w,C] -> images [B,fh,fw,3], about [-1,1], not clipped."""
        return self.autoencoder.apply({"params": params["autoencoder"]}, latent, method="decode")

    def steps(self, params: Mapping[str, Any], t: jax.Array) -> jax.Array:
        """Quantiser step Delta of each channel at timesteps t [...]: [...,C], or [...,1]."""
        step = self.schedule.step(t)[..., None]
        if self.step_profile is None:
            return step
        return step * self.step_profile.apply({"params": params["step_profile"]}, t)

    def step_table(self, params: Mapping[str, Any]) -> np.ndarray:
        """Steps at the integer timesteps 0..1000 that a file may name, float64 [1001,C or 1]."""
        t = np.arange(MAX_TIMESTEP + 1, dtype=np.float32)
        return np.asarray(self.steps(params, jnp.asarray(t)), np.float64)

    def entropy_settings(self) -> dict[str, Any]:
        """Arguments of `codec_model.entropy_arrays` beside the parameters and `step_table`."""
        settings = {
            "latent_unit": self.hyperprior.latent_unit,
            "dither": self.dither,
            "silent_scales": self.silent_scales,
        }
        if isinstance(self.hyperprior, MeanScaleHyperprior):
            names = ("scale_bound", "hyper_gain")
            settings["mean_scale"] = {name: getattr(self.hyperprior, name) for name in names}
        return settings

    def steps_at_pixels(self, params: Mapping[str, Any], timesteps: Timesteps) -> jax.Array:
        """Quantiser step of every latent element, [B,h,w,C or 1] ([B,1,1,..] for scalars)."""
        if isinstance(timesteps, LevelTimesteps):
            return timesteps.at_pixels(self.steps(params, timesteps.values))
        if timesteps.ndim == 4:
            return self.steps(params, timesteps[..., 0])
        return self.steps(params, timesteps)[:, None, None, :]

    def prior_features(self, z: preconditioning.Standardized) -> jax.Array:
        """Input of a network that knows the prior, [B,h,w,3C]: y'_t, Wiener estimate, SNR."""
        wiener = preconditioning.clean_estimate(jnp.zeros_like(z.noisy), z, "v")
        parts = [z.noisy, wiener / self.hyperprior.latent_unit, z.log2_snr / 4.0]
        return jnp.concatenate(parts, axis=-1)

    def run_unet(
        self,
        params: Mapping[str, Any],
        yhat: jax.Array,
        timesteps: Timesteps,
        mean: jax.Array,
        scale: jax.Array,
    ) -> tuple[jax.Array, preconditioning.Standardized]:
        """Raw U-Net output [B,h,w,C] and the coordinates it is expressed in.

        Args:
            params: Parameters of the codec.
            yhat: Clean latent + uniform noise of the steps that `timesteps` stand for, [B,h,w,C].
            timesteps: Of the pixels or levels.
            mean: Of the entropy model's prior, ignored without `prior_conditioning`.
            scale: Of the same prior.
        """
        if not self.prior_conditioning:
            mean, scale = jnp.zeros(()), jnp.ones(())
        step = self.steps_at_pixels(params, timesteps)
        z = preconditioning.standardize(yhat, step, mean, scale, self.silent_below)
        inputs = self.prior_features(z) if self.prior_conditioning else z.noisy
        context = None
        if self.context_shape:
            tokens = params["context"]["empty_prompt"][None]
            context = jnp.broadcast_to(tokens, (yhat.shape[0], *self.context_shape))
        output = self.unet.apply({"params": params["unet"]}, inputs, timesteps, context)
        return output, z

    def denoise(
        self,
        params: Mapping[str, Any],
        yhat: jax.Array,
        timesteps: Timesteps,
        mean: jax.Array,
        scale: jax.Array,
    ) -> jax.Array:
        """The U-Net's estimate of the clean latent, [B,h,w,C], or yhat itself without a U-Net.

        Args:
            params: Parameters of the codec.
            yhat: See `run_unet`, as for the other arguments.
            timesteps: Of the pixels or levels.
            mean: Of the prior.
            scale: Of the prior.
        """
        if self.unet is None:
            return yhat
        output, z = self.run_unet(params, yhat, timesteps, mean, scale)
        return preconditioning.clean_estimate(output, z, self.prediction)


def _hashable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a module as read from a config or from JSON, lists as tuples."""
    return {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in fields.items()}
