"""The U-Net without attention in PyTorch, with a timestep per pixel.

Parameters have the names of diffusers' `UNet2DConditionModel`. Layouts with transformers use that
class itself, see `diffusers_networks`.
"""

from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch
from rdc_jax.interop.torch.layers import conv, nearest_upsample, normalization
from rdc_jax.interop.torch.timesteps import TimestepEmbedding, Timesteps, embed, sinusoids

SD21_CHANNELS = (320, 640, 1280, 1280)


class TimeMLP(nn.Module):
    """Sinusoids of timesteps and two linear layers: [...] -> [..., dim]."""

    def __init__(self, channels: int, dim: int):
        super().__init__()
        self.channels = channels
        self.linear_1, self.linear_2 = nn.Linear(channels, dim), nn.Linear(dim, dim)

    def forward(self, t: Tensor) -> Tensor:
        return self.linear_2(functional.silu(self.linear_1(sinusoids(t, self.channels))))


class ResnetBlock(nn.Module):
    """Residual block: norm, silu, conv, plus timestep, norm, silu, conv, plus skip connection."""

    def __init__(self, channels_in: int, channels: int, embedding: int, norm: str, groups: int):
        super().__init__()
        self.norm1 = normalization(norm, groups, channels_in)
        self.conv1 = conv(channels_in, channels)
        self.time_emb_proj = nn.Linear(embedding, channels)
        self.norm2 = normalization(norm, groups, channels)
        self.conv2 = conv(channels, channels)
        if channels_in != channels:
            self.conv_shortcut = conv(channels_in, channels, 1)

    def forward(self, x: Tensor, time: TimestepEmbedding) -> Tensor:
        h = self.conv1(functional.silu(self.norm1(x)))
        h = h + time.project(self.time_emb_proj, x.shape[2])
        h = self.conv2(functional.silu(self.norm2(h)))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Resampler(nn.Module):
    """A 3x3 convolution with the parameter names of diffusers."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.conv = conv(channels, channels, 3, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Level(nn.Module):
    """The residual blocks of one resolution, and a change of resolution except at the end."""

    def __init__(self, resnets: list[ResnetBlock], kind: str, resampler: Resampler | None):
        super().__init__()
        self.resnets = nn.ModuleList(resnets)
        if resampler is not None:
            self.add_module(kind, nn.ModuleList([resampler]))


class UNet(nn.Module):
    """Predicts eps, v or x0 from a noisy latent.

    Args:
        channels_in: Number of input channels.
        channels_out: Number of output channels.
        channels: Number of channels of each level, the highest resolution first.
        layers: Number of residual blocks per level.
        norm: "group" or "pixel".
        groups: Number of groups of a group norm.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        channels: tuple[int, ...] = SD21_CHANNELS,
        layers: int = 2,
        norm: str = "group",
        groups: int = 32,
    ):
        super().__init__()
        embedding = 4 * channels[0]

        def resnet(c_in: int, c_out: int) -> ResnetBlock:
            return ResnetBlock(c_in, c_out, embedding, norm, groups)

        self.time_embedding = TimeMLP(channels[0], embedding)
        self.conv_in = conv(channels_in, channels[0])
        skips, x, last = [channels[0]], channels[0], len(channels) - 1
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for level, c in enumerate(channels):
            resnets = [resnet(x if i == 0 else c, c) for i in range(layers)]
            down = Resampler(c, 2) if level < last else None
            self.down_blocks.append(Level(resnets, "downsamplers", down))
            skips += [c] * (layers + (level < last))
            x = c
        self.mid_block = Level([resnet(x, x), resnet(x, x)], "", None)
        for level in reversed(range(len(channels))):
            c, resnets = channels[level], []
            for _ in range(layers + 1):
                resnets.append(resnet(x + skips.pop(), c))
                x = c
            up = Resampler(c, 1) if level > 0 else None
            self.up_blocks.append(Level(resnets, "upsamplers", up))
        self.conv_norm_out = normalization(norm, groups, channels[0])
        self.conv_out = conv(channels[0], channels_out)

    def forward(self, noisy: Tensor, timesteps: Timesteps, context: Tensor | None = None) -> Tensor:
        """Runs the U-Net.

        Args:
            noisy: [B,Cin,h,w], h and w multiples of 2 ** (number of levels - 1).
            timesteps: [B], [B,1,h,w] or LevelTimesteps.
            context: Ignored, because there is no attention.

        Returns:
            [B,Cout,h,w].
        """
        time = embed(timesteps, self.time_embedding)
        x = self.conv_in(noisy)
        skips = [x]
        for block in self.down_blocks:
            for resnet in block.resnets:
                x = resnet(x, time)
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        for resnet in self.mid_block.resnets:
            x = resnet(x, time)
        for block in self.up_blocks:
            for resnet in block.resnets:
                x = resnet(torch.cat([x, skips.pop()], dim=1), time)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](nearest_upsample(x))
        return self.conv_out(functional.silu(self.conv_norm_out(x)))
