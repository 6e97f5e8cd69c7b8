"""Initial weights of g_a and g_s: a Haar wavelet packet transform and its inverse, plus noise.

Every 5x5 layer of stride 2 contains the 2x2 Haar transform (its taps 2 and 3), so four of them
contain a 16x16 Walsh transform. Where a layer has fewer channels, the lowest frequencies are kept.
Training then starts near JPEG's level instead of far below a constant image [ours].

Averages keep their size on the way down (0..1), where GDN and inverse GDN almost cancel.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

COLOURS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
COLOUR_COST = ((1.0, 0.0), (2.0, 0.1), (2.0, 0.1))  # factor and summand on a channel's frequency
NOISE = 0.03  # standard deviation of the random part, of that of a random start


@functools.cache
def packet_layers(widths: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The kernels of the transform, one per layer from fine to coarse.

    widths: channels before the first layer (3) and after each.

    Returns:
        Orthonormal columns [2,2,widths[l],widths[l+1]]; a column without a wavelet is zero.
    """
    channels = [(colour, 0.0, 0.0) for colour in range(3)]  # (colour, frequencies along y and x)
    layers = []
    for level, (c_in, c_out) in enumerate(itertools.pairwise(widths), start=1):
        bands = []
        for number, (colour, fy, fx) in enumerate(channels):
            for by in (0, 1):
                for bx in (0, 1):
                    y, x = fy + by * 2.0**-level, fx + bx * 2.0**-level
                    factor, summand = COLOUR_COST[colour]
                    bands.append((factor * np.hypot(y, x) + summand, number, by, bx, colour, y, x))
        bands = sorted(bands)[:c_out]
        layer = np.zeros((2, 2, c_in, c_out), np.float32)
        for out, (_, number, by, bx, *_) in enumerate(bands):
            signs = np.outer([1, -1] if by else [1, 1], [1, -1] if bx else [1, 1]) / 2
            if level == 1:
                layer[:, :, :, out] = signs[:, :, None] * COLOURS[number]
            else:
                layer[:, :, number, out] = signs
        layers.append(layer)
        channels = [tuple(band[4:]) for band in bands]
    return tuple(layers)


def down_init(widths: tuple[int, ...], layer: int) -> jax.nn.initializers.Initializer:
    """Initial kernel of the Downsample number `layer`, from 0, of g_a with these `widths`."""
    return functools.partial(_with_noise, widths=widths, layer=layer, up=False)


def up_init(widths: tuple[int, ...], layer: int) -> jax.nn.initializers.Initializer:
    """Initial kernel of the Upsample of g_s that undoes layer `layer` of g_a."""
    return functools.partial(_with_noise, widths=widths, layer=layer, up=True)


def _with_noise(key, shape, dtype=jnp.float32, *, widths, layer, up):
    taps = packet_layers(widths)[layer] / 2
    if up:
        taps = 4 * taps.transpose(0, 1, 3, 2)
    kernel = np.zeros(shape, np.float32)
    kernel[2:4, 2:4] = taps
    fan_in = shape[0] * shape[1] * shape[2] / (4 if up else 1)
    noise = NOISE / np.sqrt(fan_in) * jax.random.normal(key, shape, dtype)
    return jnp.asarray(kernel, dtype) + noise
