"""The attention kernel of training: one that never stores the n x n weights, where there is one.

At 64x64 latents a head's weights are 4096 x 4096. Writing them to memory and reading them back
takes longer than the arithmetic. On NVIDIA GPUs cuDNN's fused kernel avoids that, on TPUs the
Pallas kernel that comes with JAX. All kernels compute the same function.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from rdc_jax.errors import RdcError
from rdc_jax.models.attention import Attend, plain_attention
from rdc_jax.training.cluster.partitioning import BATCH_AXES

CUDNN_CAPABILITY = 8.0  # least compute capability of cuDNN's fused kernel: A100
KERNELS = ("auto", "xla", "cudnn", "pallas")
PALLAS_BLOCK = 512  # positions; sequences that are no multiple of it go without the kernel
PALLAS_KEY_BLOCK = 4096  # of the backward pass; more keys give several partial query gradients
SCOPED_VMEM_KIB = 65_536  # on-chip memory that such a block needs; the compiler's own limit is less


def attention_kernel(kind: str, mesh: Mesh, dtype: Any) -> Attend:
    """The function that `UNet.attend` takes.

    Args:
        kind: training.attention, one of KERNELS.
        mesh: Of the devices that will compute.
        dtype: Of the computation.

    Raises:
        RdcError: for a kernel that does not exist, or that the mesh's devices do not have.
    """
    device = mesh.devices.flat[0]
    platform = device.platform
    if kind not in KERNELS:
        raise RdcError(f"training.attention must be one of {', '.join(KERNELS)}, not {kind!r}")
    if kind == "auto":
        cudnn = platform == "gpu" and dtype != jnp.float32 and _has_cudnn_attention(device)
        kind = "pallas" if platform == "tpu" else "cudnn" if cudnn else "xla"
    needed = {"pallas": "tpu", "cudnn": "gpu"}.get(kind)
    if needed and platform != needed:
        raise RdcError(
            f"training.attention={kind} needs a {needed}, and this mesh is of {platform} devices; "
            "use auto"
        )
    if kind == "cudnn" and not _has_cudnn_attention(device):
        raise RdcError(
            f"training.attention=cudnn needs a GPU of compute capability {CUDNN_CAPABILITY} or "
            f"newer, and {device.device_kind} has {device.compute_capability}; use auto"
        )
    if kind == "pallas":
        return pallas_attention(mesh)
    if kind == "cudnn":
        return cudnn_attention
    return plain_attention


def compiler_options(mesh: Mesh) -> dict[str, str]:
    """Options of the compiler that the kernels of this mesh's devices need."""
    if mesh.devices.flat[0].platform != "tpu":
        return {}
    return {"xla_tpu_scoped_vmem_limit_kib": str(SCOPED_VMEM_KIB)}


def _has_cudnn_attention(gpu: jax.Device) -> bool:
    """Whether cuDNN has its fused kernel for this GPU. JAX writes the capability as "8.0"."""
    return float(getattr(gpu, "compute_capability", 0.0)) >= CUDNN_CAPABILITY


def cudnn_attention(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """`Attend` by cuDNN."""
    by_position = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
    y = jax.nn.dot_product_attention(*by_position, scale=1.0, implementation="cudnn")
    return jnp.swapaxes(y, 1, 2)


def pallas_attention(mesh: Mesh, interpret: bool = False) -> Attend:
    """Splash attention for TPUs; every device works on its own examples and heads.

    The backward pass is one kernel: five matrix products instead of seven. Its partial query
    gradients, one per PALLAS_KEY_BLOCK keys, are added afterwards. The steps that use it must be
    compiled with `compiler_options`. `interpret` runs it anywhere.
    """
    from jax.experimental.pallas.ops.tpu.splash_attention import (
        splash_attention_kernel as kernels,
    )
    from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

    def local(query, key, value):
        heads, block = query.shape[1], PALLAS_BLOCK
        sizes = kernels.BlockSizes(
            block_q=block, block_kv=block, block_kv_compute=block, block_q_dkv=block,
            block_kv_dkv=min(PALLAS_KEY_BLOCK, key.shape[2]), block_kv_dkv_compute=block,
            use_fused_bwd_kernel=True,
        )  # fmt: skip
        mask = masks.MultiHeadMask([masks.FullMask((query.shape[2], key.shape[2]))] * heads)
        kernel = kernels.make_splash_mha(
            mask, block_sizes=sizes, head_shards=1, q_seq_shards=1, interpret=interpret
        )
        return jax.vmap(kernel)(query, key, value)

    def attend(query, key, value):
        lengths = (query.shape[2], key.shape[2])
        if any(length % PALLAS_BLOCK for length in lengths):
            return plain_attention(query, key, value)
        heads = "tensor" if query.shape[1] % mesh.shape["tensor"] == 0 else None
        spec = PartitionSpec(BATCH_AXES, heads, None, None)
        mapped = jax.shard_map(
            local, mesh=mesh, in_specs=(spec, spec, spec), out_specs=spec, check_vma=False
        )
        return mapped(query, key, value)

    return attend
