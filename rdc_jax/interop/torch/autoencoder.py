"""The small autoencoder of the shipped models in PyTorch: a learnt transform on 8x8 blocks.

The mathematics is that of `rdc_jax.models.autoencoder`. Here, channels come second, and flattened
blocks have the order (row, column, colour).
"""

from rdc_jax.interop.torch.extra import Tensor, functional, nn
from rdc_jax.interop.torch.layers import conv, depth_to_space, space_to_depth

LATENT_GAIN = 32.0
DOWNSAMPLING = 8


class ConvBlock(nn.Module):
    """Residual block: x + conv(silu(conv(silu(x))))."""

    def __init__(self, channels: int, hidden: int = 0, padding: str = "zeros"):
        super().__init__()
        hidden = hidden or channels
        self.conv1 = conv(channels, hidden, padding=padding)
        self.conv2 = conv(hidden, channels, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.silu(self.conv1(functional.silu(x))))


def chain(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """Applies blocks one after the other."""
    for block in blocks:
        x = block(x)
    return x


class BlockMatrix(nn.Module):
    """Applies a matrix at every pixel: [B,i,h,w] -> [B,o,h,w]."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.weight = nn.Linear(channels_in, channels_out, bias=False).weight

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight[:, :, None, None])


class Analysis(nn.Module):
    """Image [B,3,H,W] in [-1,1] -> latent / gain [B,C,H/8,W/8]."""

    def __init__(
        self,
        channels: int,
        fine_width: int,
        width: int,
        blocks: int,
        added_blocks: int = 0,
        expansion: int = 2,
        padding: str = "zeros",
    ):
        super().__init__()
        plain, added = [0] * blocks, [expansion] * added_blocks
        self.fine, self.coarse = (
            nn.ModuleList(ConvBlock(w, n * w, padding) for n in plain + added)
            for w in (fine_width, width)
        )
        self.linear = BlockMatrix(3 * DOWNSAMPLING**2, channels)
        self.conv_in = conv(48, fine_width, padding=padding)
        self.down = conv(4 * fine_width, width, padding=padding)
        self.conv_out = conv(width, channels, padding=padding)

    def forward(self, image: Tensor) -> Tensor:
        x = chain(self.fine, self.conv_in(space_to_depth(image, 4)))
        x = chain(self.coarse, self.down(space_to_depth(x, 2)))
        linear = self.linear(space_to_depth(image, DOWNSAMPLING))
        return linear + self.conv_out(functional.silu(x))


class Synthesis(nn.Module):
    """Latent / gain [B,C,h,w] -> image [B,3,8h,8w], not clipped."""

    def __init__(self, channels: int, fine_width: int, width: int, blocks: int):
        super().__init__()
        self.fine = nn.ModuleList(ConvBlock(fine_width) for _ in range(blocks))
        self.coarse = nn.ModuleList(ConvBlock(width) for _ in range(blocks))
        self.linear = BlockMatrix(channels, 3 * DOWNSAMPLING**2)
        self.conv_in = conv(channels, width)
        self.up = conv(width, 4 * fine_width, 1)
        self.conv_out = conv(fine_width, 48)

    def forward(self, y: Tensor) -> Tensor:
        x = depth_to_space(self.up(chain(self.coarse, self.conv_in(y))), 2)
        x = self.conv_out(functional.silu(chain(self.fine, x)))
        return depth_to_space(self.linear(y), DOWNSAMPLING) + depth_to_space(x, 4)


class TransformAutoencoder(nn.Module):
    """Analysis and synthesis transform.

    Args:
        luma: Number of latent channels for luma.
        chroma: Number of latent channels for each chroma component.
        fine_width: Number of channels at a quarter of the resolution.
        width: Number of channels at an eighth of the resolution.
        blocks: Number of residual blocks at each of these resolutions.
        analysis_added_blocks: Number of additional residual blocks of the analysis.
        analysis_expansion: Relative width inside these additional blocks.
        analysis_padding: What the analysis sees beyond the sides of an image: "zeros" or "edge".
    """

    downsampling = DOWNSAMPLING

    def __init__(
        self,
        luma: int = 21,
        chroma: int = 6,
        fine_width: int = 48,
        width: int = 96,
        blocks: int = 2,
        analysis_added_blocks: int = 0,
        analysis_expansion: int = 2,
        analysis_padding: str = "zeros",
    ):
        super().__init__()
        fields = (luma + 2 * chroma, fine_width, width, blocks)
        added = analysis_added_blocks, analysis_expansion
        self.analysis = Analysis(*fields, *added, analysis_padding)
        self.synthesis = Synthesis(*fields)

    def encode(self, images: Tensor) -> Tensor:
        """Encodes images [B,3,H,W] in [-1,1], H and W multiples of 8, to [B,C,H/8,W/8]."""
        return LATENT_GAIN * self.analysis(images)

    def decode(self, latent: Tensor) -> Tensor:
        """Decodes a latent [B,C,h,w] to images [B,3,8h,8w] in about [-1,1], not clipped."""
        return self.synthesis(latent / LATENT_GAIN)
