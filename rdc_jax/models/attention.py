"""Multi-head attention, with one array per projection that is ordered by head.

Attention kernels read all positions of one head at a time. So the projections write that order, and
no array is transposed in between. The scale of the scores is folded into the query kernel.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""softmax(query key^T) value of each head: [B,heads,n,c], [B,heads,m,c], [B,heads,m,c] ->
[B,heads,n,c]. Queries are scaled already."""


def plain_attention(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    """`Attend` by XLA, on any device."""
    by_position = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
    return jnp.swapaxes(jax.nn.dot_product_attention(*by_position, scale=1.0), 1, 2)


class ToHeads(nn.Module):
    """Dense layer without bias: [B,n,c] -> [B,heads,n,features/heads].

    Attributes:
        features: Of all heads together.
        heads: Number of heads.
        scale: Factor of the result.
        dtype: Of the computation; the kernel [c,features] stays float32.
    """

    features: int
    heads: int
    scale: float
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        kernel = (kernel * self.scale).astype(self.dtype).reshape(shape[0], self.heads, -1)
        return jnp.einsum("bnc,chd->bhnd", x.astype(self.dtype), kernel)


class FromHeads(nn.Module):
    """Dense layer: [B,heads,n,c] -> [B,n,features]; its kernel is [heads*c,features]."""

    features: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        heads, channels = x.shape[1], x.shape[3]
        shape = (heads * channels, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape[1:], jnp.float32)
        kernel = kernel.astype(self.dtype).reshape(heads, channels, -1)
        return jnp.einsum("bhnd,hdc->bnc", x, kernel) + bias.astype(self.dtype)[None, None]


class Attention(nn.Module):
    """Attention of x [B,n,c] to context [B,m,d] (to itself when None)."""

    heads: int
    attend: Attend
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, context: jax.Array | None = None) -> jax.Array:
        context = x if context is None else context
        channels = x.shape[-1]

        def project(value, name, scale=1.0):
            return ToHeads(channels, self.heads, scale, self.dtype, name=name)(value)

        query = project(x, "to_q", (channels // self.heads) ** -0.5)
        y = self.attend(query, project(context, "to_k"), project(context, "to_v"))
        return FromHeads(channels, self.dtype, name="to_out_0")(y)
