"""Autoencoder of the mean-scale hyperprior codec in PyTorch, see `rdc_jax.models.mean_scale`."""

import math

from rdc_jax.interop.torch.extra import Tensor, functional, nn, torch

PEDESTAL = 2.0**-36
BETA_MIN = 1e-6


class GDN(nn.Module):
    """Generalised divisive normalisation of [B,c,h,w], or its approximate inverse."""

    def __init__(self, channels: int, inverse: bool):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter(torch.eye(channels))
        self.inverse = inverse

    def forward(self, x: Tensor) -> Tensor:
        beta, gamma = effective(self.beta, BETA_MIN), effective(self.gamma, 0.0)
        power = functional.conv2d(x.square(), gamma[:, :, None, None], beta)
        return x * (torch.sqrt(power) if self.inverse else torch.rsqrt(power))


def effective(parameter: Tensor, minimum: float) -> Tensor:
    """Converts a stored square root to its value, at least `minimum`."""
    return parameter.clamp(min=math.sqrt(minimum + PEDESTAL)).square() - PEDESTAL


class Upsample(nn.Module):
    """Transposed 5x5 convolution that doubles height and width. The weight is [o,i,5,5]."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels_out, channels_in, 5, 5))
        self.bias = nn.Parameter(torch.zeros(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.transpose(0, 1)
        return functional.conv_transpose2d(x, weight, self.bias, 2, 2, output_padding=1)


class MeanScaleAutoencoder(nn.Module):
    """The transforms g_a and g_s.

    Args:
        width: Number of channels N of the hidden layers.
        latent_channels: Number of channels M of the latent.
        latent_gain: Factor between the output of g_a and the latent.
    """

    downsampling = 16

    def __init__(self, width: int = 128, latent_channels: int = 192, latent_gain: float = 1.0):
        super().__init__()
        self.latent_gain = latent_gain
        widths = (3, width, width, width, latent_channels)
        self.g_a, self.g_s = nn.ModuleList(), nn.ModuleList()
        for i in range(4):
            self.g_a.append(nn.Conv2d(widths[i], widths[i + 1], 5, 2, 2))
            self.g_s.append(Upsample(widths[4 - i], widths[3 - i]))
            if i < 3:
                self.g_a.append(GDN(width, inverse=False))
                self.g_s.append(GDN(width, inverse=True))

    def encode(self, images: Tensor) -> Tensor:
        """Encodes images [B,3,H,W] in [-1,1], H and W multiples of 16, to [B,M,H/16,W/16]."""
        x = (images + 1.0) / 2.0
        for layer in self.g_a:
            x = layer(x)
        return self.latent_gain * x

    def decode(self, latent: Tensor) -> Tensor:
        """Decodes a latent [B,M,h,w] to images [B,3,16h,16w] in about [-1,1], not clipped."""
        x = latent / self.latent_gain
        for layer in self.g_s:
            x = layer(x)
        return 2.0 * x - 1.0
