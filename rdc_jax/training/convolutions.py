"""Convolutions as matrix products in bfloat16, for training on CPUs with AMX.

    loss = as_products(loss)

On a CPU, XLA computes convolutions in float32, and the gradient by their kernels at a tenth of the
speed of a matrix product. With bfloat16 factors and float32 sums, as on TPUs,

    y(p)  = sum over rows i of the kernel  [x(p + (i,0)) ... x(p + (i,l-1))] K_i
    dK_ij = sum over pixels p              x(p + (i,j))^T dy(p)

take a third of the time. Only what training differentiates is rewritten. Validation,
encoders and decoders keep XLA's convolutions.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

KINDS = ("xla", "products")
"""Values of training.convolutions."""

Padding = tuple[tuple[int, int], tuple[int, int]]
"""Rows above and below, columns left and right."""

NHWC = ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))  # of images, kernels, results


def as_products(function: Callable) -> Callable:
    """The same function, whose convolutions of stride 1 are matrix products in bfloat16.

    Other convolutions stay as they are, and so do those inside loops and rematerialised blocks.

    Args:
        function: Takes and returns trees of arrays. May be differentiated afterwards.
    """

    @functools.wraps(function)
    def rewritten(*arguments):
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        outputs = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return rewritten


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """Convolution of stride 1 with zeros around the image.

    Args:
        x: float [B,h,w,c].
        kernel: float [k,l,c,o].
        padding: Less than the kernel's sides.

    Returns:
        float32 [B,h',w',o].
    """
    rows, columns, c, o = kernel.shape
    wide = _beside(_padded(x, padding), columns, axis=2)
    batch, all_rows, width, _ = wide.shape
    kernel = _as_integers(jnp.moveaxis(kernel, 0, 2)).reshape(columns * c, rows * o)
    products = _product(wide.reshape(-1, columns * c), kernel)
    products = products.reshape(batch, all_rows, width, rows * o)
    height = all_rows - rows + 1
    return sum(products[:, i : i + height, :, i * o : (i + 1) * o] for i in range(rows))


def _forward(x, kernel, padding):
    return convolve(x, kernel, padding), (x, kernel)


def _backward(padding, saved, gradient):
    x, kernel = saved
    rows, columns = kernel.shape[:2]
    opposite = tuple(
        (side - 1 - before, side - 1 - after)
        for side, (before, after) in zip((rows, columns), padding, strict=True)
    )
    turned = jnp.swapaxes(jnp.flip(kernel, (0, 1)), 2, 3)
    by_x = convolve(gradient, turned, opposite)
    by_kernel = kernel_gradient(x, gradient, (rows, columns), padding)
    return by_x.astype(x.dtype), by_kernel.astype(kernel.dtype)


convolve.defvjp(_forward, _backward)


def kernel_gradient(
    x: jax.Array, gradient: jax.Array, sides: tuple[int, int], padding: Padding
) -> jax.Array:
    """Gradient of `convolve` by the kernel, float32 [k,l,c,o].

    Args:
        x: float [B,h,w,c].
        gradient: By the result, [B,h',w',o].
        sides: k and l.
        padding: As for `convolve`.
    """
    (rows, columns), c, o = sides, x.shape[-1], gradient.shape[-1]
    wide = _beside(_padded(x, padding), columns, axis=2)
    tall = _beside(_padded(gradient, ((rows - 1, rows - 1), (0, 0))), rows, axis=1)
    products = _product(wide.reshape(-1, columns * c).T, tall.reshape(-1, rows * o))
    taps = products.reshape(columns, c, rows, o)
    return jnp.flip(jnp.transpose(taps, (2, 0, 1, 3)), 0)


def _padded(x: jax.Array, padding: Padding) -> jax.Array:
    return jnp.pad(_as_integers(x), ((0, 0), *padding, (0, 0)))


def _beside(x: jax.Array, count: int, axis: int) -> jax.Array:
    """The channels of `count` neighbours along an axis, which loses count - 1 positions."""
    size = x.shape[axis] - count + 1
    parts = [jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(count)]
    return jnp.concatenate(parts, axis=-1)


def _as_integers(x: jax.Array) -> jax.Array:
    """The bits of bfloat16 as uint16: XLA moves bfloat16 numbers on a CPU as float32."""
    return jax.lax.bitcast_convert_type(x.astype(jnp.bfloat16), jnp.uint16)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    a, b = (jax.lax.bitcast_convert_type(x, jnp.bfloat16) for x in (a, b))
    return jnp.dot(a, b, preferred_element_type=jnp.float32)


def _evaluate(jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Outputs of a jaxpr, with `convolve` in place of the convolutions that it can compute."""
    values: dict[Var, Any] = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= zip(jaxpr.invars, arguments, strict=True)

    def value(atom):
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        operands = [value(atom) for atom in equation.invars]
        values |= zip(equation.outvars, _results(equation, operands), strict=True)
    return [value(atom) for atom in jaxpr.outvars]


def _results(equation: JaxprEqn, operands: list[Any]) -> list[Any]:
    primitive, parameters = equation.primitive, equation.params
    if primitive.name == "jit":
        inner = parameters["jaxpr"]
        return _evaluate(inner.jaxpr, inner.consts, operands)
    if primitive.name == "conv_general_dilated" and _is_plain(equation):
        result = convolve(*operands, tuple(map(tuple, parameters["padding"])))
        return [result.astype(equation.outvars[0].aval.dtype)]
    results = primitive.bind(*operands, **primitive.get_bind_params(parameters))
    return results if primitive.multiple_results else [results]


def _is_plain(equation: JaxprEqn) -> bool:
    """Whether `convolve` computes this convolution: one of images, without stride or dilation."""
    parameters, kernel = equation.params, equation.invars[1].aval.shape
    strides = (*parameters["window_strides"], *parameters["lhs_dilation"])
    strides += (*parameters["rhs_dilation"], parameters["feature_group_count"])
    return (
        tuple(parameters["dimension_numbers"]) == NHWC
        and {*strides, parameters["batch_group_count"]} == {1}
        and all(
            0 <= zeros < side
            for side, both in zip(kernel[:2], parameters["padding"], strict=True)
            for zeros in both
        )
    )
