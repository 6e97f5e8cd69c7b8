"""Shared layers of the PyTorch networks. Channels come second: [B,c,h,w]."""

from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch

PADDING_MODES = {"zeros": "zeros", "edge": "replicate"}
"""PyTorch's names of the paddings of `rdc_jax.models.layers`."""


def conv(
    channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, padding: str = "zeros"
) -> nn.Conv2d:
    """Returns a square convolution with a padding of kernel // 2 on every side.

    Args:
        channels_in: Number of input channels.
        channels_out: Number of output channels.
        kernel: Side of the kernel.
        stride: Input pixels per output pixel along a side.
        padding: "zeros" or "edge".
    """
    mode = PADDING_MODES[padding]
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, padding_mode=mode)


class PixelNorm(nn.Module):
    """RMS norm over the channels of each pixel, with a learnt gain."""

    def __init__(self, channels: int, epsilon: float = 1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        power = x.square().mean(1, keepdim=True)
        return x * torch.rsqrt(power + self.epsilon) * self.weight[:, None, None]


def normalization(kind: str, groups: int, channels: int) -> nn.Module:
    """Returns a norm.

    Args:
        kind: "group" as in Stable Diffusion, or "pixel" as in the small models.
        groups: Number of groups of a group norm.
        channels: Number of channels.

    Raises:
        ValueError: the kind is unknown.
    """
    if kind == "group":
        return nn.GroupNorm(groups, channels, eps=1e-5)
    if kind == "pixel":
        return PixelNorm(channels)
    raise ValueError(f"norm must be 'group' or 'pixel', got {kind!r}")


def depth_to_space(x: Tensor, factor: int) -> Tensor:
    """Rearranges [B,f*f*c,h,w] to [B,c,h*f,w*f].

    Channels have the order (row, column, c), unlike in `PixelShuffle`.
    """
    b, channels, h, w = x.shape
    x = x.reshape(b, factor, factor, channels // factor**2, h, w)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(b, channels // factor**2, h * factor, w * factor)


def space_to_depth(x: Tensor, factor: int) -> Tensor:
    """Rearranges [B,c,H,W] to [B,f*f*c,H/f,W/f]. Inverse of `depth_to_space`."""
    b, c, height, width = x.shape
    x = x.reshape(b, c, height // factor, factor, width // factor, factor)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(b, -1, height // factor, width // factor)


def area_pool(x: Tensor, factor: int) -> Tensor:
    """Averages f x f areas: [B,c,h,w] -> [B,c,h/f,w/f]."""
    return x if factor == 1 else functional.avg_pool2d(x, factor)


def nearest_upsample(x: Tensor) -> Tensor:
    """Repeats pixels: [B,c,h,w] -> [B,c,2h,2w]."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
