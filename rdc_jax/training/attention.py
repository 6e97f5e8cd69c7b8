"""Which attention kernel trains: the one that never stores the n x n weights, where there is one.

At 64x64 latents a head's weights are 4096 x 4096; writing them to memory and reading them back
costs more time than the arithmetic. On NVIDIA GPUs cuDNN's fused kernel avoids that, on TPUs the
Pallas kernel that comes with JAX. All compute the same function.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from rdc_jax.errors import RdcError
from rdc_jax.models.unet import Attend
from rdc_jax.training.partitioning import BATCH_AXES

KERNELS = ("auto", "xla", "cudnn", "pallas")
PALLAS_MIN_LENGTH = 1024  # shorter sequences are cheaper without


def attention_kernel(kind: str, mesh: Mesh, dtype: Any) -> Attend:
    """The function that `UNet.attend` takes. kind: training.attention, one of KERNELS.

    Raises RdcError for another, or one that the mesh's devices do not have.
    """
    platform = mesh.devices.flat[0].platform
    if kind not in KERNELS:
        raise RdcError(f"training.attention must be one of {', '.join(KERNELS)}, not {kind!r}")
    if kind == "auto":
        half = dtype != jnp.float32
        kind = "pallas" if platform == "tpu" else "cudnn" if platform == "gpu" and half else "xla"
    needed = {"pallas": "tpu", "cudnn": "gpu"}.get(kind)
    if needed and platform != needed:
        raise RdcError(
            f"training.attention={kind} needs a {needed}, and this mesh is of {platform} devices; "
            "use auto"
        )
    if kind == "pallas":
        return pallas_attention(mesh)
    if kind == "cudnn":
        return cudnn_attention
    return jax.nn.dot_product_attention


def cudnn_attention(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """[B,n,heads,c], [B,m,heads,c], [B,m,heads,c] -> [B,n,heads,c]."""
    return jax.nn.dot_product_attention(query, key, value, implementation="cudnn")


def pallas_attention(mesh: Mesh) -> Attend:
    """Flash attention for TPUs; every device works on its own examples and heads."""
    from jax.experimental.pallas.ops.tpu import flash_attention as flash

    def local(query, key, value):
        scale = query.shape[-1] ** -0.5
        query, key, value = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
        return jnp.swapaxes(
            flash.flash_attention(
                query, key, value, sm_scale=scale, block_sizes=block_sizes(query.shape[2])
            ),
            1,
            2,
        )

    def block_sizes(length: int):
        block = min(1024, length)
        return flash.BlockSizes(
            block_q=block, block_k_major=block, block_k=block, block_b=1,
            block_q_major_dkv=block, block_k_major_dkv=block, block_k_dkv=block, block_q_dkv=block,
            block_k_major_dq=block, block_k_dq=block, block_q_dq=block,
        )  # fmt: skip

    def attend(query, key, value):
        length = key.shape[1]
        if length < PALLAS_MIN_LENGTH or length % PALLAS_MIN_LENGTH:
            return jax.nn.dot_product_attention(query, key, value)
        heads = "tensor" if query.shape[2] % mesh.shape["tensor"] == 0 else None
        spec = PartitionSpec(BATCH_AXES, None, heads, None)
        mapped = jax.shard_map(
            local, mesh=mesh, in_specs=(spec, spec, spec), out_specs=spec, check_vma=False
        )
        return mapped(query, key, value)

    return attend
