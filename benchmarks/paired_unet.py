"""The same U-Net in our code and in diffusers, with equal weights, and a batch for both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Size:
    """A network and its batch.

    The fields are those of `UNet`. `context` is (tokens, width) or None.
    """

    channels: tuple[int, ...]
    layers: int
    heads: tuple[int, ...]
    mid_heads: int
    groups: int
    in_channels: int
    out_channels: int
    latent: int
    context: tuple[int, int] | None
    batch: int
    dtype: str


SIZES = {
    # configs/tiny.py, but with group norm, the only norm of diffusers
    "tiny": Size((96, 144, 192), 1, (0, 0, 0), 0, 16, 168, 56, 16, None, 16, "float32"),
    # Stable Diffusion 2.1 with a fifth of the channels and half the side of the latent
    "small": Size(
        (64, 128, 256, 256), 2, (1, 2, 4, 0), 4, 32, 4, 4, 32, (77, 256), 4, "float32"
    ),
    "sd21": Size(
        (320, 640, 1280, 1280), 2, (5, 10, 20, 0), 20, 32, 4, 4, 64, (77, 1024), 16, "bfloat16"
    ),
}  # fmt: skip


def our_network(size: Size, dtype: str, attention: str = "auto"):
    """Builds our U-Net of a size as in training, with float32 parameters and `dtype` compute."""
    import jax

    from rdc_jax.models.unet import UNet
    from rdc_jax.training.attention import attention_kernel

    dtype = jax.numpy.dtype(dtype)
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    return UNet(
        size.out_channels, size.channels, size.layers, size.heads, size.mid_heads,
        groups=size.groups, dtype=dtype, attend=attention_kernel(attention, mesh, dtype),
    )  # fmt: skip


def torch_network(size: Size):
    """Builds the same network in diffusers, float32."""
    import diffusers

    def blocks(direction: str, heads: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(f"{'CrossAttn' if h else ''}{direction}Block2D" for h in heads)

    shared = dict(
        sample_size=size.latent,
        in_channels=size.in_channels,
        out_channels=size.out_channels,
        block_out_channels=size.channels,
        layers_per_block=size.layers,
        norm_num_groups=size.groups,
        down_block_types=blocks("Down", size.heads),
        up_block_types=blocks("Up", size.heads[::-1]),
    )
    if not size.mid_heads:
        return diffusers.UNet2DModel(**shared, add_attention=False)
    return diffusers.UNet2DConditionModel(
        **shared,
        # Despite its name, this is the number of heads. The last one is also for the middle.
        attention_head_dim=(*size.heads[:-1], size.mid_heads),
        cross_attention_dim=size.context[1],
        use_linear_projection=True,
    )


def make_batch(size: Size, batch: int) -> dict[str, np.ndarray]:
    """Draws float32 inputs and a target.

    These are noisy and target [B,h,w,C], timesteps [B] and context [B,m,d].
    """
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal((batch, *shape), np.float32)

    arrays = {
        "noisy": draw(size.latent, size.latent, size.in_channels),
        "timesteps": rng.uniform(0, 1000, batch).astype(np.float32),
        "target": draw(size.latent, size.latent, size.out_channels),
    }
    if size.context is not None:
        arrays["context"] = draw(*size.context)
    return arrays


def random_params(model, batch: dict[str, np.ndarray]) -> dict:
    """Draws random weights for every layer, also for conv_out, as NumPy arrays."""
    import jax

    inputs = [batch[name][:1] for name in ("noisy", "timesteps", "context") if name in batch]
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        noise = rng.standard_normal(leaf.shape, np.float32)
        if path[-1].key == "kernel":
            return noise / np.float32(np.sqrt(np.prod(leaf.shape[:-1])))
        return 0.1 * noise + (path[-1].key == "scale")

    return jax.tree.map_with_path(draw, shapes)


def torch_arrays(params: dict) -> dict[str, np.ndarray]:
    """Converts our parameters or gradients to the names of diffusers and the layout of PyTorch.

    Names have '_' instead of '.'. Convolutions [kh,kw,in,out] become [out,in,kh,kw], and dense
    kernels [in,out] become [out,in].
    """
    import jax

    def entry(path, leaf):
        *modules, kind = (part.key for part in path)
        array = np.asarray(leaf)
        array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        return "_".join([*modules, "bias" if kind == "bias" else "weight"]), array

    return dict(entry(*leaf) for leaf in jax.tree.leaves_with_path(params))


def copy_to_torch(params: dict, network) -> int:
    """Copies our parameters into the network of diffusers and returns their number.

    Raises:
        ValueError: names or shapes differ, so the networks are not the same.
    """
    import torch

    arrays = torch_arrays(params)
    theirs = {name.replace(".", "_"): value for name, value in network.named_parameters()}
    if different := sorted(arrays.keys() ^ theirs.keys()):
        raise ValueError(f"parameters on only one side: {', '.join(different)}")
    for name, value in theirs.items():
        if arrays[name].shape != tuple(value.shape):
            raise ValueError(f"{name} is {arrays[name].shape} here, {tuple(value.shape)} there")
        with torch.no_grad():
            value.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))
    count = sum(array.size for array in arrays.values())
    assert count == sum(value.numel() for value in network.parameters())
    return count
