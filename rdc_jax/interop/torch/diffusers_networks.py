"""Networks of diffusers in our PyTorch decoder. A wrapper lets the U-Net take a timestep map.

    unet = TimestepMapUNet(UNet2DConditionModel.from_pretrained(FOLDER))
    unet(noisy, timesteps, context)         timesteps [B], [B,1,h,w] or `LevelTimesteps`

No code of diffusers is changed or copied. During a call with a map, hooks set each block's
projection of the single timestep to zero. Instead, they add the projected map to the output of the
block's first convolution.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from rdc_jax.errors import RdcError
from rdc_jax.interop.torch.extra import Tensor, nn, torch
from rdc_jax.interop.torch.timesteps import TimestepEmbedding, Timesteps, embed
from rdc_jax.interop.torch.unet import SD21_CHANNELS

PLAIN = {  # settings of a U-Net whose timestep is only added inside residual blocks
    "class_embed_type": None,
    "num_class_embeds": None,
    "addition_embed_type": None,
    "resnet_time_scale_shift": "default",
    "resnet_skip_time_act": False,
    "time_embedding_act_fn": None,
}


class TimestepMapUNet(nn.Module):
    """Wrapper of a `UNet2DConditionModel` (`inner`) that takes a timestep map.

    Raises:
        RdcError: the timestep is not only added inside residual blocks.
    """

    def __init__(self, inner: nn.Module):
        super().__init__()
        for name, value in PLAIN.items():
            if inner.config.get(name, value) != value:
                raise RdcError(f"a U-Net with {name}={inner.config[name]!r} takes no timestep map")
        self.inner = inner

    def forward(self, noisy: Tensor, timesteps: Timesteps, context: Tensor | None = None) -> Tensor:
        """Runs the U-Net.

        Args:
            noisy: [B,Cin,h,w].
            timesteps: [B], [B,1,h,w] or LevelTimesteps.
            context: [B,m,d], or None without cross-attention.

        Returns:
            [B,Cout,h,w].
        """
        if isinstance(timesteps, Tensor) and timesteps.ndim == 1:
            return self.inner(noisy, timesteps, context).sample
        time = embed(timesteps, self._embedding)
        with self._map_added(time):
            return self.inner(noisy, 0, context).sample

    def _embedding(self, t: Tensor) -> Tensor:
        waves = self.inner.time_proj(t.reshape(-1)).reshape(*t.shape, -1)
        return self.inner.time_embedding(waves)

    @contextlib.contextmanager
    def _map_added(self, time: TimestepEmbedding) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for block in self.inner.modules():
                projection = getattr(block, "time_emb_proj", None)
                if projection is None:
                    continue

                def add(module, inputs, output, projection=projection):
                    return output + time.project(projection, output.shape[2])

                def silence(module, inputs, output):
                    return torch.zeros_like(output)

                # `project` only reads the weights of the projection and does not trigger its hook.
                stack.callback(block.conv1.register_forward_hook(add).remove)
                stack.callback(projection.register_forward_hook(silence).remove)
            yield


class KLAutoencoder(nn.Module):
    """Wrapper of diffusers' `AutoencoderKL` (`inner`) with our fields and our scaled latent.

    The fields are those of `rdc_jax.models.autoencoder_kl.AutoencoderKL`.
    """

    def __init__(
        self,
        block_out_channels: tuple[int, ...] = (128, 256, 512, 512),
        layers_per_block: int = 2,
        latent_channels: int = 4,
        norm_num_groups: int = 32,
        scaling_factor: float = 0.18215,
        image_channels: int = 3,
    ):
        super().__init__()
        levels = len(block_out_channels)
        self.downsampling = 2 ** (levels - 1)
        self.scaling_factor = scaling_factor
        self.inner = _diffusers().AutoencoderKL(
            in_channels=image_channels,
            out_channels=image_channels,
            block_out_channels=tuple(block_out_channels),
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            layers_per_block=layers_per_block,
            latent_channels=latent_channels,
            norm_num_groups=norm_num_groups,
            scaling_factor=scaling_factor,
        )

    def encode(self, images: Tensor) -> Tensor:
        """Encodes images [B,3,H,W] in [-1,1], H and W multiples of f, to the scaled mean."""
        return self.inner.encode(images).latent_dist.mean * self.scaling_factor

    def decode(self, latent: Tensor) -> Tensor:
        """Decodes a latent [B,C,h,w] to images [B,3,fh,fw] in about [-1,1], not clipped."""
        return self.inner.decode(latent / self.scaling_factor).sample


def make_unet(
    channels_in: int, channels_out: int, fields: Mapping[str, Any], context_width: int | None
) -> TimestepMapUNet:
    """Builds diffusers' U-Net from our fields, with random weights.

    Args:
        channels_in: Number of input channels.
        channels_out: Number of output channels.
        fields: Fields of `rdc_jax.models.unet.UNet`.
        context_width: Width of the context of the cross-attention.

    Raises:
        ValueError: diffusers does not support this layout.
    """
    channels = tuple(fields.get("channels", SD21_CHANNELS))
    heads, mid_heads = tuple(fields.get("heads", (5, 10, 20, 0))), fields.get("mid_heads", 20)
    levels = len(channels)
    if fields.get("norm", "group") != "group" or not mid_heads or heads[-1] not in (0, mid_heads):
        raise ValueError("diffusers has no U-Net of this norm and these heads")
    if context_width is None:
        raise ValueError("diffusers has no such U-Net with attention but without a context")
    return TimestepMapUNet(
        _diffusers().UNet2DConditionModel(
            in_channels=channels_in,
            out_channels=channels_out,
            block_out_channels=channels,
            layers_per_block=fields.get("layers", 2),
            down_block_types=tuple(
                "CrossAttnDownBlock2D" if count else "DownBlock2D" for count in heads
            ),
            up_block_types=tuple(
                "CrossAttnUpBlock2D" if count else "UpBlock2D" for count in reversed(heads)
            ),
            attention_head_dim=tuple(count or mid_heads for count in (*heads[:-1], mid_heads)),
            cross_attention_dim=(context_width,) * levels,
            norm_num_groups=fields.get("groups", 32),
            use_linear_projection=True,
        )
    )


def _diffusers() -> Any:
    try:
        import diffusers
    except ImportError:
        raise RdcError("this model needs diffusers: pip install diffusers") from None
    return diffusers
